from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.command import print_figures

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
