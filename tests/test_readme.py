from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from sparcode import config
from sparcode.cli import app
from sparcode.config import RunConfig
from tests.tiny import CONFIG, DATA, tiny_data


@pytest.fixture(scope="module")
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def test_the_python_sample_runs(readme: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (sample,) = blocks(readme, "python")
    # The sample as it stands, on a smaller catalogue and network.
    monkeypatch.setattr(config.RunConfig, "for_data", classmethod(lambda cls, synthetic: CONFIG))
    monkeypatch.setattr("sparcode.data.synthetic.generate", lambda *given: tiny_data())
    exec(compile(sample, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("Evaluation(recall=0.")
    assert DATA.n_users == tiny_data().n_users


def test_its_command_lines_are_understood(readme: str) -> None:
    lines = [line.split("#")[0].strip() for block in blocks(readme, "") for line in block.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith(".venv/bin/sparcode ")]
    assert {arguments[0] for arguments in commands} == {"train", "evaluate", "retrieve"}
    group = typer.main.get_command(app)
    for name, *arguments in commands:
        context = group.commands[name].make_context(name, arguments)
        assert context.params


def test_its_make_targets_are_there(readme: str, repository: Path) -> None:
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^make (\w+)", readme, flags=re.MULTILINE))
    assert targets == {"app", "test"}
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in targets)


def test_the_files_and_settings_it_names_are_there(readme: str, repository: Path) -> None:
    named = re.findall(r"`((?:sparcode|benchmarks|tests|app|pages|docs|scripts)/[\w./-]*)`", readme)
    named += re.findall(r"\]\(((?!https?:)[^)]+)\)", readme)
    assert len(named) > 10
    missing = [name for name in named if not (repository / name).exists()]
    assert missing == []
    fields = {name for stage in RunConfig.model_fields.values() for name in stage.annotation.model_fields}
    settings = set(re.findall(r"`(\w+)` ?(?:=|0|\()", readme)) - {"nonlinear_share"}
    assert settings <= fields
