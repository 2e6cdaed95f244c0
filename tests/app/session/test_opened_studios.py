from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from app.session import opened_studios
from app.session.opened_studios import OpenedStudios
from sparcode.config import RunConfig
from sparcode.data.interactions import Interactions
from tests.fakes import PATIENCE
from tests.tiny import CONFIG, tiny_data


class FakeStudio:
    """A studio that only knows where it is and whether it was closed."""

    def __init__(self, data: Interactions, config: RunConfig, recorded: object, place: object) -> None:
        self.data, self.config, self.place, self.is_closed, self.is_busy = data, config, place, False, False

    def close(self) -> None:
        self.is_closed = True


class Gone:
    """Kept runs of which there are none."""

    deleted: list[str]

    def __init__(self) -> None:
        self.deleted = []

    def delete(self, name: str) -> None:
        self.deleted.append(name)

    def stamp(self, name: str) -> str:
        return "1"


@pytest.fixture
def studios(monkeypatch: pytest.MonkeyPatch) -> OpenedStudios:
    monkeypatch.setattr(opened_studios, "Studio", FakeStudio)
    monkeypatch.setattr(opened_studios, "MOST_OPENED", 2)
    return OpenedStudios(FakeStudio(tiny_data(), CONFIG, None, None), Gone(), lambda synthetic: CONFIG)


def counted(reads: list[str], name: str) -> Callable[[], Interactions]:
    def read() -> Interactions:
        reads.append(name)
        return tiny_data()

    return read


def test_data_is_opened_once_and_the_least_recently_used_is_closed_for_another(studios: OpenedStudios) -> None:
    reads: list[str] = []
    first, second = (studios.of_data(name, counted(reads, name)) for name in ("a", "b"))
    assert studios.of_data("a", counted(reads, "a")) is first
    assert (first.place.name, first.place.host) == ("a", studios.first)
    studios.of_data("c", counted(reads, "c"))
    assert (first.is_closed, second.is_closed) == (False, True)
    assert studios.of_data("b", counted(reads, "b")) is not second
    assert reads == ["a", "b", "c", "b"]


def test_two_visitors_who_want_the_same_data_wait_for_one_reading(studios: OpenedStudios) -> None:
    goes_on, reading, found = threading.Event(), threading.Event(), []

    def slowly() -> Interactions:
        reading.set()
        assert goes_on.wait(PATIENCE)
        return tiny_data()

    threads = [threading.Thread(target=lambda: found.append(studios.of_data("a", slowly))) for _ in range(2)]
    threads[0].start()
    assert reading.wait(PATIENCE)
    reading.clear()
    threads[1].start()
    # Others need not wait for it.
    studios.of_data("b", tiny_data)
    goes_on.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert found[0] is found[1]
    assert not reading.is_set()


def test_data_that_cannot_be_read_is_tried_again(studios: OpenedStudios) -> None:
    def fail() -> Interactions:
        raise ValueError("damaged")

    for _ in range(2):
        with pytest.raises(ValueError, match="damaged"):
            studios.of_data("a", fail)
    assert not studios._opening
    assert studios.of_data("a", tiny_data).data is tiny_data()


def test_data_is_never_opened_twice_at_once_also_after_a_failure(studios: OpenedStudios) -> None:
    goes_on, fails, found = threading.Event(), threading.Event(), []
    at_once, most, lock = 0, 0, threading.Lock()

    def read() -> Interactions:
        nonlocal at_once, most
        with lock:
            at_once, most = at_once + 1, max(most, at_once + 1)
        try:
            if not fails.is_set():
                fails.set()
                assert goes_on.wait(PATIENCE)
                raise ValueError("damaged")
            # Time for another one to come in between.
            threading.Event().wait(0.2)
            return tiny_data()
        finally:
            with lock:
                at_once -= 1

    def ask() -> None:
        try:
            found.append(studios.of_data("a", read))
        except ValueError:
            # Came after the lock of the first was given up.
            found.append(studios.of_data("a", read))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    assert fails.wait(PATIENCE)
    goes_on.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(found) == 6
    assert len(set(map(id, found))) == most == 1
    assert not studios._opening


def test_those_open_are_listed_by_their_use(studios: OpenedStudios) -> None:
    first, second = (studios.of_data(name, tiny_data) for name in ("a", "b"))
    assert studios.open_beside() == [first, second]
    studios.of_data("a", tiny_data)
    assert studios.open_beside() == [second, first]


def test_a_studio_with_work_under_way_is_not_closed_for_another(studios: OpenedStudios) -> None:
    first, second = (studios.of_data(name, tiny_data) for name in ("a", "b"))
    first.is_busy = True
    third = studios.of_data("c", tiny_data)
    assert (first.is_closed, second.is_closed) == (False, True)
    third.is_busy = True
    reads: list[str] = []
    with pytest.raises(ValueError, match="2 other data sets or runs are open, the most there may be, and work goes on"):
        studios.of_data("d", counted(reads, "d"))
    assert reads == []
    assert studios.of_data("a", tiny_data) is first
    first.is_busy = False
    studios.of_data("d", tiny_data)
    assert first.is_closed


def test_what_was_deleted_or_left_is_closed_and_the_end_closes_all(studios: OpenedStudios) -> None:
    run = studios.of_data("run.mine.1", tiny_data)
    studios.delete_run("mine")
    assert (studios.kept.deleted, run.is_closed) == (["mine"], True)
    mine, other = (studios.of_data(scope, tiny_data) for scope in ("upload.ann.1", "upload.bob.1"))
    studios.close_all_of("upload.ann.")
    assert (mine.is_closed, other.is_closed) == (True, False)
    studios.close()
    assert other.is_closed
    assert studios.first.is_closed
