from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from sparcode.cli import app
from sparcode.config import ModelConfig, QuantizerConfig, TrainingConfig
from tests.fakes import raising


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    assert all(name in result.stdout for name in ("train", "evaluate", "retrieve", "serve", "export", "demo"))


def test_every_setting_has_a_flag_with_its_bounds_and_default() -> None:
    text = " ".join(CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "300", "TERM": "dumb"}).stdout.split())
    for stage in (ModelConfig, QuantizerConfig, TrainingConfig):
        for name in set(stage.model_fields) - {"seed"}:
            assert f"--{name.replace('_', '-')} " in text
    assert f"(2 to 16384; default {QuantizerConfig().codebook_size})" in text


def test_an_unknown_command_is_one_line() -> None:
    result = CliRunner().invoke(app, ["fly"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: No such command 'fly'")


@pytest.mark.parametrize(
    ("failure", "code", "message"),
    [
        (ValueError("bad\ninput"), 2, "error: bad input\n"),
        (OSError("disk full"), 1, "error: disk full\n"),
        (RuntimeError(), 1, "error: RuntimeError\n"),
        (MemoryError(), 1, "error: out of memory\n"),
        (ValueError("\x1b]0;title\x07 " + "9" * 5000), 2, f"error: \\x1b]0;title\\x07 {'9' * 100}... (5,000 characters)\n"),
        (KeyboardInterrupt(), 130, "interrupted: retrieve was ended; nothing was written\n"),
    ],
)
def test_failures_end_with_one_line_and_a_code(failure: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparcode.commands.retrieve.read_histories", raising(failure))
    result = CliRunner().invoke(app, ["retrieve", "run", "--history", "file"])
    assert (result.exit_code, result.stderr) == (code, message)


def test_sigterm_ends_with_one_line_and_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("sparcode.commands.retrieve.read_histories", lambda _: signal.raise_signal(signal.SIGTERM))
    result = CliRunner().invoke(app, ["retrieve", "run", "--history", "file"])
    assert (result.exit_code, result.stderr) == (143, "terminated: retrieve was ended; nothing was written\n")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_process_that_ignores_sigterm_goes_on_ignoring_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(_: object) -> None:
        signal.raise_signal(signal.SIGTERM)
        raise ValueError("went on")

    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        monkeypatch.setattr("sparcode.commands.retrieve.read_histories", told)
        assert CliRunner().invoke(app, ["retrieve", "run", "--history", "file"]).stderr == "error: went on\n"
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_command_says_what_it_left_when_it_was_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    interruption = KeyboardInterrupt()
    interruption.add_note("the run is kept")
    monkeypatch.setattr("sparcode.commands.retrieve.read_histories", raising(interruption))
    assert CliRunner().invoke(app, ["retrieve", "run", "--history", "file"]).stderr == "interrupted: retrieve was ended; the run is kept\n"


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparcode.commands.retrieve.read_histories", raising(KeyError("bug")))
    assert isinstance(CliRunner().invoke(app, ["retrieve", "run", "--history", "file"]).exception, KeyError)


def test_places_among_processes_that_make_no_sense_are_one_line() -> None:
    places = {"RANK": "4", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "sparcode", "train"], capture_output=True, text=True, check=False, env={**os.environ, **places}
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: the environment has RANK=4, WORLD_SIZE=2, LOCAL_RANK=0, LOCAL_WORLD_SIZE=1; torchrun sets them\n"


def test_the_installed_command_starts_without_loading_torch() -> None:
    """Help and bad usage are answered at once."""
    code = "import sys; from sparcode.cli import app; sys.exit('torch' in sys.modules or 'streamlit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
