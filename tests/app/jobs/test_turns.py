from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from app.jobs.turns import Turns
from tests.fakes import PATIENCE


def started(draw: Callable[..., None], *args: object) -> threading.Thread:
    thread = threading.Thread(target=draw, args=args, daemon=True)
    thread.start()
    return thread


def test_only_so_many_draw_at_once_and_all_in_the_end() -> None:
    turns, go, entered = Turns(2), threading.Event(), threading.Semaphore(0)
    inside: list[int] = []

    @turns.in_turn
    def draw() -> None:
        inside.append(1)
        entered.release()
        assert go.wait(PATIENCE)

    threads = [started(draw) for _ in range(5)]
    assert all(entered.acquire(timeout=PATIENCE) for _ in range(2))
    assert not entered.acquire(timeout=0.05)
    assert turns.all_taken()
    go.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(inside) == 5
    assert not turns.all_taken()


def test_who_waits_for_something_else_leaves_the_turn_to_others() -> None:
    turns, other_drew = Turns(1), threading.Event()

    @turns.in_turn
    def waits() -> None:
        with turns.left():
            started(draws)
            assert other_drew.wait(PATIENCE)

    draws = turns.in_turn(other_drew.set)
    waits()
    assert other_drew.is_set()


def test_a_function_within_another_takes_no_second_turn_and_an_error_gives_it_back() -> None:
    turns = Turns(1)

    @turns.in_turn
    def inner(error: type[Exception]) -> None:
        raise error("no page")

    outer = turns.in_turn(inner)
    for error in (ValueError, OSError):
        with pytest.raises(error, match="no page"):
            outer(error)
    with turns.left():
        pass
