from __future__ import annotations

from pathlib import Path

import pytest

from sparcode.commands.demo import studio_launcher
from sparcode.commands.errors import Terminated
from tests.commands.conftest import Command, Output


def test_the_launcher_stands_beside_the_package(repository: Path) -> None:
    assert studio_launcher(repository / "sparcode") == repository / "streamlit_app.py"


def test_a_package_without_the_studio_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run it from a copy of the repository"):
        studio_launcher(tmp_path / "sparcode")


def test_a_port_must_be_one(refused: Output) -> None:
    assert "--port" in refused("demo", "--port", 70000)


@pytest.mark.parametrize(("signal", "code", "stopped"), [(KeyboardInterrupt(), 130, False), (Terminated(), 143, True)])
def test_the_studio_ends_with_the_command(
    signal: KeyboardInterrupt, code: int, stopped: bool, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []

    class Server:
        def wait(self) -> None:
            done.append("waited for")
            if done == ["waited for"]:
                raise signal

        def terminate(self) -> None:
            done.append("stopped")

    monkeypatch.setattr("sparcode.commands.demo.subprocess.Popen", lambda *_, **__: Server())
    result = command("demo")
    assert result.exit_code == code
    assert result.stderr.endswith("demo was ended; the studio has ended\n")
    # A terminal's Ctrl-C reaches the studio without the command.
    assert done == ["waited for", *(["stopped"] if stopped else []), "waited for"]
