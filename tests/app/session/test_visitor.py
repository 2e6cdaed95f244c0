from __future__ import annotations

from types import SimpleNamespace

from app.session.visitor import POLLS_A_SECOND, poll_seconds


def test_pages_look_less_often_the_more_of_them_are_open() -> None:
    def seconds(n_open: int) -> float:
        return poll_seconds(0.5, SimpleNamespace(viewers=SimpleNamespace(n_open=lambda: n_open)))

    assert seconds(1) == 0.5
    assert seconds(20) == 20 / POLLS_A_SECOND
