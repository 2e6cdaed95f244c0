from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.command import outputs, print_figures

BENCHMARKS = sorted(Path(__file__).resolve().parents[2].joinpath("benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", [path for path in BENCHMARKS if "\ndef main(" in path.read_text()], ids=lambda path: path.stem)
def test_benchmarks_start_and_end_alike(path: Path) -> None:
    source = path.read_text()
    assert source.endswith('if __name__ == "__main__":\n    run_command(main)\n')
    assert f"python -m benchmarks.{path.stem}" in source.partition('"""\n\nfrom')[0]
    assert "    print_figures(" in source


def test_the_last_line_is_rounded_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_figures({"a": 1.23456, "b": {"c": float("nan"), "n": 7}, "d": float("inf")}, digits=2)
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"a": 1.23, "b": {"c": None, "n": 7}, "d": None}


def started(source: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-S", "-c", source], stdout=subprocess.PIPE, text=True)


def test_outputs_of_processes_come_in_their_order() -> None:
    assert outputs([started(f"print({number})") for number in range(3)], "a process") == ["0\n", "1\n", "2\n"]


def test_a_process_that_fails_ends_the_others_at_once() -> None:
    # The first waits for a signal that never comes.
    processes = [started("import signal; signal.pause()"), started("print('half'); raise SystemExit(3)")]
    with pytest.raises(RuntimeError, match="a client ended with exit code 3"):
        outputs(processes, "a client")
    assert [process.wait() for process in processes] == [-9, 3]
