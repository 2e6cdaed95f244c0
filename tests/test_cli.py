from __future__ import annotations

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
    assert all(name in result.stdout for name in ("train", "evaluate", "retrieve", "demo"))


def test_every_setting_has_a_flag_with_its_bounds_and_default() -> None:
    text = " ".join(CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "300", "TERM": "dumb"}).stdout.split())
    for stage in (ModelConfig, QuantizerConfig, TrainingConfig):
        for name in set(stage.model_fields) - {"seed"}:
            assert f"--{name.replace('_', '-')} " in text
    assert "(2 to 16384; default 128)" in text


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
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_failures_end_with_one_line_and_a_code(failure: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparcode.commands.retrieve.read_histories", raising(failure))
    result = CliRunner().invoke(app, ["retrieve", "run", "--history", "file"])
    assert (result.exit_code, result.stderr) == (code, message)


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparcode.commands.retrieve.read_histories", raising(KeyError("bug")))
    assert isinstance(CliRunner().invoke(app, ["retrieve", "run", "--history", "file"]).exception, KeyError)


def test_the_installed_command_starts_without_loading_torch() -> None:
    """Help and bad usage are answered at once."""
    code = "import sys; from sparcode.cli import app; sys.exit('torch' in sys.modules or 'streamlit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
