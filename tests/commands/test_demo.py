from __future__ import annotations

from pathlib import Path

import pytest

from sparcode.commands.demo import studio_launcher
from tests.commands.conftest import Output


def test_the_launcher_stands_beside_the_package(repository: Path) -> None:
    assert studio_launcher(repository / "sparcode") == repository / "streamlit_app.py"


def test_a_package_without_the_studio_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run it from a copy of the repository"):
        studio_launcher(tmp_path / "sparcode")


def test_a_port_must_be_one(refused: Output) -> None:
    assert "--port" in refused("demo", "--port", 70000)
