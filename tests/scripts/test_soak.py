"""The parts of `python -m scripts.soak` that judge; what they judge is not run here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from scripts.soak import flips
from scripts.soak.__main__ import missed, together
from scripts.soak.clock import STOPPED_SECONDS, Clock
from scripts.soak.sessions import Explorer
from sparcode.runs import store
from sparcode.runs.store import load_run, save_run
from tests.runs.test_store import tiny_run

BARS = {"tracebacks": 0, "left_over": 0, "threshold_p95_s": 0.9, "rss_growth_share": 0.01}


def test_a_changed_bit_that_nothing_notices_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_run(tiny_run(), tmp_path / "run")
    assert flips.soak(60, folder) == {"flips": 60, "silent_flips": 0, "unnamed": 0, "tracebacks": 0}
    monkeypatch.setattr(store, "check_manifest", lambda folder: None)
    told = flips.soak(60, folder)
    assert told["silent_flips"] > 10
    monkeypatch.undo()
    assert load_run(folder).run_id == tiny_run().run_id


def test_an_error_that_is_no_refusal_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_run(tiny_run(), tmp_path / "run")
    expected = load_run(folder)
    answers = iter([expected, KeyError("a"), ValueError("it is damaged"), expected])

    def read(folder: Path) -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(flips, "load_run", read)
    assert flips.soak(3, folder) == {"flips": 3, "silent_flips": 0, "unnamed": 1, "tracebacks": 1}
    assert "KeyError" in capsys.readouterr().err


def told(element: str, fragment: str = "f", **content: object) -> ForwardMsg:
    """A message that shows a slider or a component."""
    message = ForwardMsg()
    message.delta.fragment_id = fragment
    shown = getattr(message.delta.new_element, element)
    for name, value in content.items():
        if isinstance(value, list):
            getattr(shown, name).extend(value)
        else:
            setattr(shown, name, value)
    return message


def address(query: str) -> ForwardMsg:
    message = ForwardMsg()
    message.page_info_changed.query_string = query
    return message


def session() -> Explorer:
    """A session whose page shows one setting everywhere."""
    page = Explorer("http://127.0.0.1:1", seed=0)
    page.hear(told("slider", id="$$ID-1-m#0", options=["1", "2", "4"], default=[1]))
    page.hear(told("slider", id="$$ID-1-k#0", options=["64", "128"], default=[0]))
    page.hear(told("bidi_component", id="t", json=json.dumps({"kept": "10"})))
    page.hear(told("bidi_component", id="r", json=json.dumps({"runs": [{"label": "M=2 K=64 T=4, 10 % kept", "current": True}]})))
    page.hear(address("m=2&k=64&keep=10"))
    return page


@pytest.mark.parametrize(
    "message",
    [
        address("m=2&k=128&keep=10"),
        address("m=2&k=64&keep=5"),
        told("bidi_component", id="t", json=json.dumps({"kept": "5"})),
        told("bidi_component", id="r", json=json.dumps({"runs": [{"label": "M=2 K=128 T=4, 10 % kept", "current": True}]})),
        told("bidi_component", id="r", json=json.dumps({"runs": [{"label": "M=2 K=64 T=4, 10 % kept", "current": False}]})),
        told("slider", id="$$ID-1-k#1", options=["64", "128"], default=[1]),
    ],
)
def test_a_session_that_disagrees_with_itself_is_told(message: ForwardMsg) -> None:
    page = session()
    assert page.agrees()
    page.hear(message)
    assert not page.agrees()


def test_a_slider_keeps_what_was_pressed_until_the_page_shows_another() -> None:
    page = session()
    page.hear(told("slider", id="$$ID-1-k#0", options=["64", "128"], default=[1]))
    assert page.on_sliders() == ("2", "64", "10")
    assert {value.string_array_value.data[0] for value in page.values.values()} == {"2", "64"}


def test_buttons_are_known_until_their_part_of_the_page_is_drawn_anew() -> None:
    page, begun = session(), ForwardMsg()
    page.hear(told("button", fragment="f", id="a", label="Cancel"))
    page.hear(told("button", fragment="g", id="b", label="Join it again"))
    page.hear(told("button", fragment="f", id="c", label="Fine-tune here", disabled=True))
    assert page.buttons == {"Cancel": ("a", "f"), "Join it again": ("b", "g")}
    begun.new_session.name = "session"
    begun.metadata.run.fragment_ids.append("f")
    page.hear(begun)
    assert list(page.buttons) == ["Join it again"]


def test_the_clock_stands_still_while_the_machine_does() -> None:
    now = 100.0
    clock = Clock(lambda: now)
    for now in (101.0, 104.0):
        assert clock() == now - 100
    now += STOPPED_SECONDS + 60
    assert (clock(), clock.stopped) == (4.0, STOPPED_SECONDS + 60)
    now += 1
    assert clock() == 5.0


def test_bars_that_are_missed_are_named() -> None:
    assert missed(BARS) == missed({"kills": 100}) == []
    assert missed(BARS | {"left_over": 1, "threshold_p95_s": float("nan")}) == ["left_over", "threshold_p95_s"]
    bombs = {"bombs_taken": 0, "bombs_slowest_s": 4.9, "bombs_most_mb": 499, "bombs_p95_s": 0.9, "upload_rss_left_share": 0.1}
    assert missed(bombs) == []
    for name, value in (BARS | bombs).items():
        assert missed({name: value + 2}) == [name]


def test_counts_of_parts_are_added_up() -> None:
    assert together([{"tracebacks": 1, "kills": 2}, {"tracebacks": 2, "flips": 3}]) == {"tracebacks": 3, "kills": 2, "flips": 3}
