"""What README, CONTRIBUTING and docs tell people to run is run, on tiny data; what they name exists."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from sparcode import config
from sparcode.cli import app
from sparcode.config import RunConfig
from sparcode.data.interactions import Histories
from tests.tiny import changed, tiny_data

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]}
QUICK = changed(training={"epochs": 1, "joint_epochs": 1})
TEXT = "\n".join(DOCUMENTS.values())
FOLDERS = "app|assets|benchmarks|docs|examples|pages|scripts|sparcode|tests"
TOP_FILES = r"streamlit_app\.py|\w+\.(?:toml|txt)|\.ci/run|Makefile"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)


def commands(pattern: str) -> list[str]:
    """Command lines that match, from code blocks and from code within a text, which may break over lines."""
    lines = [line.split("#")[0] for block in blocks("") for line in block.splitlines()]
    lines += re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL))
    return sorted({" ".join(line.split()) for line in lines if re.match(pattern, line)})


def write_table(path: Path, histories: Histories) -> None:
    pairs = zip(histories.rows.tolist(), histories.items.tolist(), strict=True)
    path.write_text("\n".join(["user_id,item_id", *(f"{user},{item}" for user, item in pairs)]), encoding="utf-8")


def test_the_python_sample_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (sample,) = blocks("python")
    # The sample as it stands, on a smaller catalogue and network.
    monkeypatch.setattr(config.RunConfig, "for_data", classmethod(lambda cls, synthetic: QUICK))
    monkeypatch.setattr("sparcode.data.synthetic.generate", lambda *given: tiny_data())
    exec(compile(sample, "docs/usage.md", "exec"), {})
    assert capsys.readouterr().out.startswith("Evaluation(recall=0.")


def test_the_command_lines_in_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(tmp_path / "ratings.csv", tiny_data().histories)
    (tmp_path / "tiny.json").write_text(QUICK.model_dump_json(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    lines = [line for block in blocks("") for line in block.splitlines() if line.startswith(".venv/bin/sparcode ")]
    names = []
    for line in lines:
        _, name, *arguments = shlex.split(line)
        if name == "demo":
            continue
        # Tiny settings where the line names none.
        more = ["--config", "tiny.json"] if name in ("train", "sweep") and "--config" not in arguments else []
        result = CliRunner().invoke(app, [name, *arguments, *more])
        assert result.exit_code == 0, (line, result.output)
        names.append(name)
    assert names[:3] == ["train", "evaluate", "retrieve"]


@pytest.mark.parametrize("line", commands(r"(\.venv/bin/)?sparcode \w+ (?!--help)"))
def test_a_command_line_is_understood(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    assert typer.main.get_command(app).commands[name].make_context(name, arguments).params


@pytest.mark.parametrize("line", commands(r"(\w+=\S+ )*make \w"))
def test_a_make_target_is_there(line: str) -> None:
    *_, arguments = line.partition("make ")
    made = subprocess.run(["make", "--dry-run", *arguments.split()], cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


@pytest.mark.parametrize("line", commands(r"python -m (benchmarks|scripts)\.[a-z]"))
def test_a_module_starts_and_has_the_options_named(line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, module, *arguments = line.split()
    monkeypatch.setattr("sys.argv", [module, "--help"])
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__")
    assert not ended.value.code
    printed = capsys.readouterr().out
    assert not [option for option in arguments if option.startswith("--") and option not in printed]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_files_a_document_names_are_there(document: str) -> None:
    text = DOCUMENTS[document]
    named = {ROOT / name for name in re.findall(rf"`((?:{FOLDERS})/[\w./-]*|{TOP_FILES})`", text)}
    named |= {ROOT / Path(document).parent / name for name in re.findall(r"\]\(((?!https?:)[^)#]+)", text)}
    assert not [str(path) for path in named if not path.exists()]


@pytest.mark.parametrize("document", [*DOCUMENTS, *(path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("docs/api/*.md")))])
def test_the_code_a_document_names_is_there(document: str) -> None:
    named = set(re.findall(r"\b(?:sparcode|app)(?:\.[A-Za-z_]\w*)+", (ROOT / document).read_text(encoding="utf-8")))
    assert not [name for name in sorted(named) if not is_there(name)]
    assert document != "docs/method.md" or len(named) > 50


def is_there(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        module = ".".join(parts[:length])
        if find_spec_of(module):
            found = importlib.import_module(module)
            for part in parts[length:]:
                found = getattr(found, part, None) or getattr(found, "__annotations__", {}).get(part)
            return found is not None
    return False


def find_spec_of(module: str) -> bool:
    """Whether there is a module of this name; its packages are imported, it is not."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is no package
        return False


def test_every_document_is_reached_from_the_readme() -> None:
    assert all(f"({document})" in DOCUMENTS["README.md"] or document in ("README.md", "docs/README.md") for document in DOCUMENTS)


def test_the_settings_that_the_documents_give_values_exist() -> None:
    fields = {name for stage in RunConfig.model_fields.values() for name in stage.annotation.model_fields}
    given = {*re.findall(r"`([a-z]+_\w+)` \d", TEXT)} - {"nonlinear_share"}
    assert {"n_nearest", "teacher_weight"} <= given <= fields
