from __future__ import annotations

import pytest

from app.jobs.viewers import LEFT_SECONDS, Viewers


class Tabs:
    """Viewers on a clock of the test's own, whose tabs it opens and closes."""

    def __init__(self) -> None:
        self.now = 0.0
        self.open: set[str] = set()
        self.viewers = Viewers(clock=lambda: self.now)

    def show(self, tab: str, owner: str, setting: str) -> None:
        self.open.add(tab)
        self.viewers.enter(tab, owner, lambda: tab in self.open)
        self.viewers.show(tab, setting, frozenset({f"job of {setting}"}))


@pytest.fixture
def tabs() -> Tabs:
    made = Tabs()
    made.show("one", "ann", "K=8")
    return made


def test_another_open_tab_of_the_same_browser_counts_until_it_moves_on(tabs: Tabs) -> None:
    tabs.show("two", "ann", "K=8")
    tabs.show("three", "bob", "K=8")
    assert tabs.viewers.elsewhere("one", "ann", "K=8")
    tabs.open.remove("two")
    assert not tabs.viewers.elsewhere("one", "ann", "K=8")
    tabs.show("two", "ann", "K=16")
    assert not tabs.viewers.elsewhere("one", "ann", "K=8")


def test_a_browser_has_left_a_job_some_time_after_its_last_tab_with_it_was_closed(tabs: Tabs) -> None:
    tabs.show("two", "ann", "K=16")
    tabs.now = 10 * LEFT_SECONDS
    assert not tabs.viewers.has_left("ann", "job of K=8", 0.0)
    tabs.open.remove("one")
    assert not tabs.viewers.has_left("ann", "job of K=8", 0.0)
    tabs.now += LEFT_SECONDS - 1
    assert not tabs.viewers.has_left("ann", "job of K=8", 0.0)
    tabs.now += 1
    assert tabs.viewers.has_left("ann", "job of K=8", 0.0)
    # Jobs of no setting go on while any tab is open.
    assert not tabs.viewers.has_left("ann", "training", 0.0)
    tabs.open.remove("two")
    assert not tabs.viewers.has_left("ann", "training", 0.0)
    tabs.now += LEFT_SECONDS
    assert tabs.viewers.has_left("ann", "training", 0.0)


def test_a_reload_is_not_leaving(tabs: Tabs) -> None:
    tabs.open.remove("one")
    assert not tabs.viewers.has_left("ann", "job of K=8", 0.0)
    tabs.now = LEFT_SECONDS - 1
    tabs.show("reloaded", "ann", "K=8")
    tabs.now += LEFT_SECONDS
    assert not tabs.viewers.has_left("ann", "job of K=8", 0.0)


def test_who_never_had_a_tab_does_not_leave(tabs: Tabs) -> None:
    assert not tabs.viewers.has_left("server", "job of K=8", 0.0)


def test_time_counts_from_when_any_visitor_noticed_the_closed_tab(tabs: Tabs) -> None:
    tabs.open.remove("one")
    tabs.show("two", "bob", "K=8")
    tabs.now = LEFT_SECONDS
    assert tabs.viewers.has_left("ann", "job of K=8", 0.0)


def test_a_tab_closed_before_a_job_was_asked_for_does_not_end_it(tabs: Tabs) -> None:
    tabs.open.remove("one")
    tabs.now = LEFT_SECONDS
    tabs.show("two", "ann", "K=16")
    tabs.now += LEFT_SECONDS
    assert tabs.viewers.has_left("ann", "job of K=8", 0.0)
    assert not tabs.viewers.has_left("ann", "job of K=8", tabs.now)


def test_a_tab_wants_its_further_jobs_until_it_shows_another_setting(tabs: Tabs) -> None:
    tabs.show("two", "ann", "K=16")
    tabs.viewers.want("two", "job of K=8")
    tabs.open.remove("one")
    assert not tabs.viewers.has_left("ann", "job of K=8", 0.0)
    tabs.now = LEFT_SECONDS
    assert not tabs.viewers.has_left("ann", "job of K=8", 0.0)
    tabs.show("two", "ann", "K=32")
    assert tabs.viewers.has_left("ann", "job of K=8", 0.0)


def test_a_browser_has_gone_some_time_after_its_last_tab_was_closed(tabs: Tabs) -> None:
    tabs.show("two", "ann", "K=16")
    tabs.show("three", "bob", "K=8")
    tabs.open -= {"one", "three"}
    assert not tabs.viewers.has_gone("ann")
    assert not tabs.viewers.has_gone("bob")
    tabs.now += LEFT_SECONDS
    assert not tabs.viewers.has_gone("ann")
    assert tabs.viewers.has_gone("bob")
    tabs.show("three", "bob", "K=8")
    assert not tabs.viewers.has_gone("bob")
    assert tabs.viewers.has_gone("nobody")


def test_open_tabs_are_counted(tabs: Tabs) -> None:
    tabs.show("two", "ann", "K=8")
    tabs.show("three", "bob", "K=16")
    assert tabs.viewers.n_open() == 3
    tabs.open.remove("two")
    assert tabs.viewers.n_open() == 2
