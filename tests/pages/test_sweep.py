"""The page Sweep: defined, started, watched, gone on with, read; trials opened on other pages."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import TextInput

from app.kept.sweep_jobs import SweepJobs
from app.kept.sweeps import KeptSweeps
from app.session import loaders
from app.sweep.results import for_visitors
from sparcode.sweep.definition import write_definition
from sparcode.sweep.record import TrialRecord, finished_numbers, write_record
from sparcode.sweep.request import TrialRequest
from sparcode.sweep.run import run_sweep
from sparcode.sweep.table import as_file
from sparcode.sweep.trial import run_trial
from tests.fakes import PATIENCE
from tests.pages.opened_pages import charts, click, labels, markdown, mounted, visited
from tests.sweep.planted import Inline, planted_folder, write_planted

pytestmark = pytest.mark.usefixtures("tiny_app")

SPACE = ("quantizer.codebook_size=16,64,128", "quantizer.n_nearest=1,2")
CHARTS = {"Every trial at every threshold", "Trial by trial, settings to figures", "Which settings matter", "One setting at a time"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The studio's folder of sweeps, with one that was stopped after three of six trials; figures are a formula."""
    (tmp_path / "sweeps").mkdir()
    place = planted_folder(tmp_path / "sweeps" / "mine", SPACE, trials=6, sampler="grid")
    assert run_sweep(place, Inline(), should_stop=lambda: len(finished_numbers(place)) == 3) == "stopped"
    return tmp_path / "sweeps"


def settled(app: AppTest) -> AppTest:
    """The page once nothing of it goes on."""
    jobs = loaders.opened().first.jobs
    for _ in range(40):
        for key in jobs.running():
            jobs.wait(key, lambda one: False, PATIENCE)
        app.run()
        assert not app.exception
        if "sweep_live" not in app.session_state or not app.session_state["sweep_live"]:
            return app
    raise AssertionError("the page does not come to rest")


def page(folder: Path, executor: Inline | None = None, **address: str) -> AppTest:
    opened = loaders.opened()
    # Trials run by an executor of the test, and nothing that is recorded.
    opened.__dict__["sweeps"] = SweepJobs(opened.first.jobs, KeptSweeps(folder, folder / "none"), lambda n_workers: executor or Inline())
    return settled(visited("sweep.py", **address))


def name_field(app: AppTest) -> TextInput:
    (found,) = [field for field in app.text_input if field.label == "Name of the sweep"]
    return found


def heading(app: AppTest) -> str:
    return next(text.value for text in app.markdown if text.value.startswith("#### "))


def table(app: AppTest) -> dict[str, list]:
    (found,) = [frame.value for frame in app.dataframe if frame.value.columns[0] == "trial"]
    return found.to_dict("list")


def test_a_sweep_of_the_folder_is_read_with_its_answer_first(folder: Path) -> None:
    app = page(folder)
    assert heading(app) == "#### **The smallest index within 1% of the best recall is K=64, P=1**: 0.0032 MB, Recall@50 0.597, 0.010 ms"
    assert "The best recall is 0.600, of K=64, P=1 with 2 times the bytes. 3 trials: 3 complete." in markdown(app)
    assert set(charts(app)) == CHARTS
    found = table(app)
    assert found["trial"] == [2, 1, 0]
    assert found["K"] == [64, 16, 16]
    assert found["Recall@50"] == pytest.approx([0.6, 0.51, 0.5])
    assert [button.label for button in app.get("download_button")] == ["CSV", "Parquet", "JSON"]
    assert "sparcode sweep --synthetic-n-users 100 --config mine/sweep.json" in app.code[0].value
    assert any("Varies: `quantizer.codebook_size=16,64,128" in text.value for text in app.caption)


def test_a_half_done_sweep_goes_on_at_a_click(folder: Path) -> None:
    executor = Inline()
    app = page(folder, executor)
    assert any("3 of 6 trials are left" in text.value for text in app.caption)
    app = settled(click(app, "Go on with it"))
    assert sorted(request.number for request in executor.requests) == [3, 4, 5]
    assert table(app)["K"][0] == 128
    assert "Go on with it" not in labels(app)
    assert "6 trials: 6 complete." in markdown(app)


def test_a_sweep_is_started_from_the_form_and_named_anew(folder: Path) -> None:
    executor = Inline()
    app = page(folder, executor)
    app.multiselect(key="sweep-vary").set_value(["quantizer.codebook_size"]).run()
    app.text_input(key="sweep-values-quantizer.codebook_size").set_value("8,16").run()
    app.selectbox(key="sweep-sampler").set_value("grid").run()
    name_field(app).set_value("second").run()
    app.number_input(key="sweep-seed").set_value(7).run()
    assert any("2 trials of 2 settings" in text.value for text in app.caption)
    app = settled(click(app, "Start the sweep"))
    assert [request.params for request in executor.requests] == [{"quantizer.codebook_size": size} for size in (8, 16)]
    assert sorted(table(app)["K"]) == [8, 16]
    assert name_field(app).value == "sweep"
    sweep = loaders.opened().sweeps.sweeps.load("second")
    usual = loaders.studio().config
    # The command line has one seed for both.
    assert (sweep.definition.seed, sweep.definition.config.training.seed) == (7, 7)
    assert sweep.definition.config == usual.model_copy(update={"training": usual.training.model_copy(update={"seed": 7})})
    assert sweep.definition.data.facts.content_hash == loaders.studio().interactions.content_hash()
    assert sweep.definition.data.is_kept


@pytest.mark.parametrize(
    ("values", "name", "message"),
    [
        ("8,x", "good", "x"),
        ("9..8", "good", "the first must be below the second"),
        ("", "good", "--vary 'quantizer.codebook_size='"),
        ("8,16", "mine", "there is a sweep 'mine' already"),
        ("8,16", "../x", "small letters, digits and single hyphens"),
    ],
)
def test_what_is_not_possible_is_named_and_not_started(folder: Path, values: str, name: str, message: str) -> None:
    app = page(folder)
    app.multiselect(key="sweep-vary").set_value(["quantizer.codebook_size"]).run()
    app.text_input(key="sweep-values-quantizer.codebook_size").set_value(values).run()
    name_field(app).set_value(name).run()
    assert any(message in text.value for text in app.text)
    (start,) = [button for button in app.button if button.label == "Start the sweep"]
    assert start.disabled


def test_while_a_sweep_runs_the_page_counts_and_its_owner_can_cancel(folder: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(request: TrialRequest) -> bool:
        if request.number == 4:
            begun.set()
            go_on.wait(PATIENCE)
        return write_planted(request)

    app = page(folder, Inline(slowly))
    jobs = loaders.opened().sweeps
    app = click(app, "Go on with it")
    assert begun.wait(PATIENCE)
    app.run()
    assert app.session_state["sweep_live"]
    assert "4 of 6 trials have finished" in app.get("progress")[0].proto.text
    (start,) = [button for button in app.button if button.label == "Start the sweep"]
    assert start.disabled
    other = visited("sweep.py")
    assert "Cancel" not in labels(other)
    assert any("Who started it can cancel it" in text.value for text in other.caption)
    app = click(app, "Cancel")
    go_on.set()
    assert jobs.under_way() == ""
    while jobs.sweeps.load("mine").is_running:
        pass
    app = settled(app)
    assert "Go on with it" in labels(app)


def test_failed_trials_are_counted_with_their_reasons_without_the_servers_folders(folder: Path) -> None:
    write_record(
        folder / "mine",
        TrialRecord(
            number=3, state="failed", params={"quantizer.codebook_size": 128, "quantizer.n_nearest": 1}, error="/srv/data/x.csv is gone"
        ),
    )
    app = page(folder, trial="3")
    assert any("1 trial failed and was skipped" in text.value for text in app.warning)
    assert [text.value for text in app.text if "x.csv" in text.value] == ["1 x x.csv is gone", "x.csv is gone"]
    assert "**Trial 3**: K=128, P=1; failed." in markdown(app)


def test_files_and_command_name_no_folder_of_the_server(folder: Path) -> None:
    place = folder / "mine"
    write_record(
        place,
        TrialRecord(
            number=3, state="failed", params={"quantizer.codebook_size": 128, "quantizer.n_nearest": 1}, error="/srv/data/x.csv is gone"
        ),
    )
    sweep = KeptSweeps(folder).load("mine")
    data = {
        "flags": "--data /srv/data/x.csv --items /srv/data/y.csv --user-column a/b",
        "path": "/srv/data/x.csv",
        "options": {"items_path": "/srv/data/y.csv", "user_column": "a/b"},
    }
    definition = sweep.definition.model_copy(update={"data": sweep.definition.data.model_copy(update=data)})
    shown = for_visitors(sweep._replace(definition=definition))
    for form in ("json", "csv"):
        told = as_file(shown.definition, shown.trials, form).decode()
        assert "/srv" not in told
        assert "x.csv is gone" in told
    assert shown.definition.data.options == {"items_path": "y.csv", "user_column": "a/b"}
    assert "--data x.csv --items y.csv --user-column a/b" in shown.definition.command()
    write_definition(place, definition)
    assert "/srv" not in page(folder).code[0].value


def test_a_trial_that_was_clicked_is_marked_in_all_charts_and_in_the_address(folder: Path) -> None:
    app = page(folder, trial="1", front="both", of="p50_ms")
    assert "**Trial 1**: K=16, P=2. At its best threshold Recall@50 0.510" in markdown(app)
    for name in CHARTS - {"Which settings matter"}:
        assert any(trace["name"] == "trial 1" for trace in charts(app)[name]["data"]), name
    app = settled(click(app, "Look at none"))
    assert "trial" not in app.query_params
    assert "**Trial 2**" in markdown(app)
    assert app.query_params["front"] in ("both", ["both"])


def test_addresses_of_what_is_not_there_are_told(folder: Path) -> None:
    app = page(folder, sweep="<gone>", trial="x", front="side")
    told = " ".join(text.value for text in app.warning)
    assert "the sweep ?gone?, which is not there (any more). There are: mine." in told
    assert "trial x, which is no number of a trial" in told
    assert "front = side" in told
    assert set(charts(app)) == CHARTS
    assert any("There is no finished trial 77; finished are 0, 1, 2" in text.value for text in page(folder, trial="77").warning)


def test_a_trial_opens_as_a_run_on_the_other_pages(folder: Path) -> None:
    app = page(folder, Inline(run_trial))
    app.multiselect(key="sweep-vary").set_value(["quantizer.codebook_size"]).run()
    app.text_input(key="sweep-values-quantizer.codebook_size").set_value("4,6").run()
    app.selectbox(key="sweep-sampler").set_value("grid").run()
    name_field(app).set_value("real").run()
    app = settled(click(app, "Start the sweep"))
    assert "2 trials: 2 complete." in markdown(app)
    app = click(app, "Compare runs")
    assert not app.exception
    (name,) = loaders.opened().kept.names
    assert name.startswith("real-trial-")
    assert app.query_params["data"] in (f"run.{name}", [f"run.{name}"])


def test_a_sweep_that_nobody_needs_is_deleted_after_a_tick(folder: Path) -> None:
    app = page(folder)
    (delete,) = [button for button in app.button if button.label == "Delete this sweep for everybody"]
    assert delete.disabled
    app.checkbox(key="sweep-sure/mine").check().run()
    app = click(app, "Delete this sweep for everybody")
    assert not (folder / "mine").exists()
    assert "Which setting should you run" in heading(app)


def test_a_damaged_sweep_is_named(folder: Path) -> None:
    (folder / "mine" / "trials" / "0001.json").write_text("{")
    app = page(folder)
    assert app.error[0].value == "The sweep **mine** cannot be shown."
    assert "0001.json is damaged" in app.text[-1].value
    assert str(folder) not in app.text[-1].value


def test_where_sweeps_are_turned_off_the_recorded_one_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARCODE_SWEEPS", "off")
    loaders.close_studio()
    app = settled(visited("sweep.py"))
    assert any("keeps no sweeps" in text.value for text in app.caption)
    assert set(charts(app)) == CHARTS
    assert any("Recorded on" in text.value for text in app.caption)
    # The tiny data has no such backbone.
    assert any("the Index Explorer does not offer these settings" in text.value for text in app.caption)


def test_charts_and_table_are_added_to_the_report(folder: Path) -> None:
    app = page(folder)
    (add,) = [button for button in app.button if button.label == "Add to report" and button.key == "add-sweep-trials-table"]
    add.click().run()
    (entry,) = loaders.opened().reports.of(app.session_state["owner"]).entries
    assert (entry.source.page, entry.source.called) == ("Sweep", "sweep mine, validation users")
    assert entry.title == "All trials of the sweep mine"
    assert all(given["adds"] for given in mounted(app) if "figure" in given and "Which settings" not in given["name"])
