"""The files in `examples/`: each runs, says what it promises, and stands in the list."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "examples").glob("*.py"))


def main_of(name: str) -> Callable[..., None]:
    """The example's function, as its file stands."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that the first example keeps."""
    folder = tmp_path_factory.mktemp("runs") / "example"
    main_of("train_and_save")(str(folder))
    return folder


@pytest.fixture
def printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run an example on the kept run; what it prints."""

    def run(name: str, *given: str) -> str:
        main_of(name)(str(folder), *given)
        return capsys.readouterr().out

    return run


def test_the_list_names_every_example_and_no_other() -> None:
    listed = re.findall(r"\]\((\w+\.py)\)", (ROOT / "examples" / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == [file.name for file in FILES]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_is_short_and_says_how_it_is_started(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 50
    assert f"`python examples/{file.name}" in lines[0]


def test_training_keeps_a_run_and_trains_on_it_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (folder / "run.json").exists()
    main_of("train_and_save")(str(folder))
    told = capsys.readouterr().out
    assert re.search(r"^SparCode \(index\) +0\.\d+", told, re.MULTILINE)
    assert f"kept in {folder}" in told


def test_retrieving_prints_five_items_of_each_query_and_none_of_its_own(printed: Callable[..., str]) -> None:
    first, second = printed("retrieve").split("history: ")[1:]
    for told, n_chosen in ((first, 3), (second, 1)):
        chosen, *found = told.strip().splitlines()
        assert len(chosen.split(", ")) == n_chosen
        scores = [float(line.split()[0]) for line in found]
        assert len(scores) == 5
        assert scores == sorted(scores, reverse=True)
        assert not {line.split("  ")[-1] for line in found} & set(chosen.split(", "))


def test_explaining_takes_three_scores_apart(printed: Callable[..., str]) -> None:
    told = printed("explain").splitlines()
    assert sum(line.startswith("head ") for line in told) == 4
    sums = [re.fullmatch(r".+: (\S+) = (\S+) \(code \d+\) \+ (\S+) \(.*", line) for line in told[4:]]
    assert len(sums) == 3
    assert all(float(one[1]) >= float(one[2]) + float(one[3]) - 2e-3 for one in sums)


def test_a_budget_is_kept(printed: Callable[..., str]) -> None:
    *_, told = printed("threshold_for_size", "7000").splitlines()
    assert told.startswith("at most 7,000 bytes: ")
    assert 6500 < int(re.search(r"in ([\d,]+) bytes", told)[1].replace(",", "")) <= 7000


def test_a_new_users_profile_changes_with_every_item(printed: Callable[..., str]) -> None:
    told = printed("new_user", "the").splitlines()
    assert len(told[0].split(", ")) == 4
    assert sum(line.startswith("without ") for line in told) == 4


def test_a_service_is_started_asked_and_ended(printed: Callable[..., str]) -> None:
    told = printed("serve").splitlines()
    assert len(told[:-1]) == 2
    assert all(re.fullmatch(r"\S+, \S+: (\S+ \d+\.\d+(, )?){3}", line) for line in told[:-1])
    assert told[-1] == "ended with exit code 0"


def test_milvus_finds_what_the_index_finds(printed: Callable[..., str], tmp_path: Path) -> None:
    told = printed("milvus", str(tmp_path / "items.db")).splitlines()
    assert re.fullmatch(r"exported \d+ items of 200, \d+ codes each on average", told[0])
    assert told[1:4] == [f"query {number}: 5 items, the same as the index's" for number in (1, 2, 3)]
    assert re.fullmatch(r"of 1990 and later: (\S+, ){4}\S+", told[4])


def test_every_search_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    main_of("compare_searches")()
    told = re.findall(r"^(.{16}) recall (0\.\d+), median ", capsys.readouterr().out, re.MULTILINE)
    recall = {name.strip(): float(value) for name, value in told}
    assert list(recall) == ["SparCode", "two-tower, exact", "two-tower, HNSW", "EASE"]
    # Twenty of 200 items drawn at random find a tenth.
    assert all(0.3 < value < 1 for value in recall.values())


def test_a_sweep_names_a_run_and_serves_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main_of("sweep")(str(tmp_path / "sweep"))
    told = capsys.readouterr().out
    ended, answer, matters, served = told.splitlines()
    assert ended == "complete"
    size = re.search(r"within 1% of the best recall is ([\d.]+) kB with codebook_size \d+, n_nearest \d", answer)
    assert set(re.findall(r"'([\w.]+)'", matters)) == {"quantizer.codebook_size", "quantizer.n_nearest"}
    assert float(size[1]) == pytest.approx(int(re.search(r"([\d,]+) bytes", served)[1].replace(",", "")) / 1000, abs=0.005)
    # Nothing is left to do: the same answer.
    main_of("sweep")(str(tmp_path / "sweep"))
    assert capsys.readouterr().out == told


def test_ready_made_files_are_read_where_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = tmp_path / "train.csv", tmp_path / "test.csv"
    main_of("fixed_split")(*map(str, files))
    first = capsys.readouterr().out
    assert re.match(r"300 users, 200 items: Evaluation\(recall=0\.[2-9]", first)
    before = [file.read_bytes() for file in files]
    main_of("fixed_split")(*map(str, files))
    assert capsys.readouterr().out.split("latency")[0] == first.split("latency")[0]
    assert [file.read_bytes() for file in files] == before


def test_own_scores_are_indexed_and_found(capsys: pytest.CaptureFixture[str]) -> None:
    main_of("own_scores")()
    told = capsys.readouterr().out
    assert told.startswith("Retrieved(item_ids=array([[")
    # A fifth of 40 x 500 scores, 4 bytes each.
    assert "'scores': 16000" in told
