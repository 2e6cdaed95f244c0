from __future__ import annotations

from app.jobs.viewers import FRESH_SECONDS, Viewers


def test_another_tab_of_the_same_browser_counts_until_it_moves_on() -> None:
    viewers = Viewers()
    viewers.show("one", "ann", "K=8")
    viewers.show("two", "ann", "K=8")
    assert viewers.elsewhere("one", "ann", "K=8")
    viewers.show("two", "ann", "K=16")
    assert not viewers.elsewhere("one", "ann", "K=8")


def test_other_browsers_and_the_tab_itself_do_not_count() -> None:
    viewers = Viewers()
    viewers.show("one", "ann", "K=8")
    viewers.show("two", "bob", "K=8")
    assert not viewers.elsewhere("one", "ann", "K=8")


def test_a_tab_that_says_nothing_any_more_is_forgotten() -> None:
    now = [0.0]
    viewers = Viewers(clock=lambda: now[0])
    viewers.show("one", "ann", "K=8")
    now[0] = FRESH_SECONDS
    assert not viewers.elsewhere("two", "ann", "K=8")
