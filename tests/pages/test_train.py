from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.jobs.job import JobState
from app.session import loaders
from app.training import run as training_run
from app.training import session as session_module
from app.training.control import Pace
from app.training.data import DataShelf, TrainingData
from app.training.session import FROM_SCRATCH, TrainingView
from sparcode.config import RunConfig
from sparcode.metrics.registry import METRICS
from sparcode.training.recommended import recommended
from sparcode.training.trainer import DivergenceError
from tests.app import open_studio
from tests.fakes import PATIENCE
from tests.pages.opened_pages import charts, click, control, described, figures, labels, markdown, studio, visited

pytestmark = pytest.mark.usefixtures("tiny_app")


@pytest.fixture(autouse=True)
def patient_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "PAUSE_PATIENCE", PATIENCE)


PAGE = "train.py"
SMALL = {"m": "2", "k": "8"}
CHARTS = {
    *("Recall on validation users", "Loss", "Commitment: distance of tokens to their codes", "Perplexity", "Dead codewords"),
    "Use of codewords, epoch by epoch",
}


def view_of(app: AppTest) -> TrainingView:
    return studio().from_scratch.view(app.session_state["owner"])


def ended(app: AppTest) -> AppTest:
    """The page once its run is over."""
    open_studio.ended(studio(), view_of(app).job.key)
    app.run()
    assert not app.exception
    return app


def paused(app: AppTest, n_points: int) -> AppTest:
    """The page once its run waits after so many epochs."""
    key = view_of(app).job.key
    studio().jobs.wait(key, lambda snapshot: len(snapshot.records) >= n_points, PATIENCE)
    # Waits for the worker to get there.
    studio().from_scratch.pause(app.session_state["owner"])
    assert view_of(app).pace is Pace.PAUSED
    return app.run()


def test_an_empty_page_says_what_will_happen_and_how_to_start() -> None:
    app = visited(PAGE, **SMALL)
    assert not app.exception
    assert "Nothing has been trained in this browser yet" in markdown(app)
    assert labels(app) == ["Start training", "Train one epoch"]
    assert not charts(app)
    assert control(app.number_input, "t_dim").value == 8
    assert control(app.selectbox, "t_encoder").options == ["mean", "gru", "sasrec"]


def test_a_run_shows_curves_figures_and_where_they_come_from() -> None:
    app = ended(click(visited(PAGE, **SMALL), "Start training"))
    result = view_of(app).job.result
    assert "Run 1 is finished" in markdown(app)
    assert set(charts(app)) == CHARTS
    recalls = f"{METRICS['recall'].text(result.recall)} of {METRICS['recall'].text(result.all_to_all)}"
    assert re.search(rf"SparCode reaches \d+% of all-to-all's recall, from .*{re.escape(recalls)}.*at most ±0\.\d{{3}}", markdown(app))
    shown = figures(app)
    assert shown["Recall@50"] == METRICS["recall"].text(result.recall)
    assert shown["Two-tower Recall@50"] == METRICS["recall"].text(result.two_tower)
    assert shown["Index size"] == METRICS["size_bytes"].text(result.size_bytes)
    names = [trace.get("name") for trace in charts(app)["Recall on validation users"]["data"]]
    assert names == ["two-tower", "all-to-all", "SparCode"]
    (alt,) = [text for text in described(app) if text.startswith("Validation recall")]
    assert "SparCode 0." in alt
    assert "two-tower 0." in alt
    caption = " ".join(text.value for text in app.caption)
    assert "Trained from scratch" in caption
    assert result.n_users > 0
    assert "Two standard errors of a recall are at most" in caption
    assert "seed 0" in caption
    assert "Measured on this machine" in caption


def test_settings_reach_the_run() -> None:
    app = visited(PAGE, **SMALL, t_encoder="gru", t_update="ema", t_ema="0.9", t_beta="0.25", t_epochs="2", t_joint="1", t_seed="5")
    control(app.checkbox, "t_two_tower").uncheck().run()
    app = ended(click(app, "Start training"))
    config = view_of(app).plan.config
    assert (config.model.encoder, config.quantizer.codebook_update, config.quantizer.ema_decay) == ("gru", "ema", 0.9)
    assert (config.quantizer.commitment_weight, config.training.epochs, config.training.joint_epochs) == (0.25, 2, 1)
    assert config.training.seed == 5
    assert [point.epoch for point in view_of(app).points] == [1, 2, 0, 1]
    assert "Two-tower Recall@50" not in figures(app)


def test_a_setting_without_effect_cannot_be_changed() -> None:
    app = visited(PAGE, **SMALL)
    assert control(app.number_input, "t_ema").disabled
    control(app.selectbox, "t_update").set_value("ema").run()
    assert not control(app.number_input, "t_ema").disabled


def test_dimensions_that_do_not_split_are_explained_and_corrected() -> None:
    app = visited(PAGE, m="4", k="8", t_dim="10", t_epochs="1", t_joint="1")
    assert "D = 10 cannot be cut into M = 4 equal parts, one per codebook: **D = 12** is used." in app.info[0].value
    app = ended(click(app, "Start training"))
    assert view_of(app).plan.config.model.token_dim == 12


def test_a_run_can_be_stepped_through_paused_and_resumed() -> None:
    app = paused(click(visited(PAGE, **SMALL), "Train one epoch"), 1)
    assert labels(app) == ["Resume", "Step one epoch", "Cancel"]
    assert "**Paused** · run 1 · all-to-all, epoch 1 of at most 6" in markdown(app)
    assert "not timed yet" in markdown(app)
    app = paused(click(app, "Step one epoch"), 2)
    assert "epoch 2 of at most 6" in markdown(app)
    assert len(view_of(app).points) == 2
    app = ended(click(app, "Resume"))
    assert "Run 1 is finished" in markdown(app)


def test_a_paused_run_survives_another_page_and_can_be_cancelled() -> None:
    app = paused(click(visited(PAGE, **SMALL), "Train one epoch"), 1)
    app.switch_page("../pages/overview.py").run()
    app.switch_page(f"../pages/{PAGE}").run()
    assert "Paused" in markdown(app)
    assert control(app.select_slider, "k").value == "8"
    app = ended(click(app, "Cancel"))
    assert "Run 1 was cancelled after 1 epoch. Its curves stand below." in app.warning[0].value
    assert "Start training" in labels(app)
    assert charts(app)["Loss"]["data"]
    assert len(view_of(app).points) == 1
    assert not view_of(app).earlier
    assert "Run 2 is finished" in markdown(ended(click(app, "Start training")))


def test_a_diverged_run_shows_its_message_its_curves_and_the_way_on(monkeypatch: pytest.MonkeyPatch) -> None:
    train = training_run.fine_tune

    def diverge(*arguments: object) -> object:
        train(*arguments)
        raise DivergenceError("the loss became nan in epoch 2")

    monkeypatch.setattr(training_run, "fine_tune", diverge)
    app = ended(click(visited(PAGE, **SMALL), "Start training"))
    assert "ended with an error after 9 epochs: the loss became nan in epoch 2." in app.error[0].value
    assert "smaller step size" in app.error[0].value
    assert charts(app)["Loss"]["data"]
    assert len(view_of(app).points) == 10
    monkeypatch.setattr(training_run, "fine_tune", train)
    app = ended(click(app, "Start training"))
    assert view_of(app).job.state is JobState.DONE
    assert not view_of(app).earlier
    assert not app.error


def test_earlier_runs_are_ghosts_and_rows_until_they_are_forgotten() -> None:
    app = ended(click(visited(PAGE, **SMALL, t_epochs="2", t_joint="1"), "Start training"))
    assert not app.dataframe
    app = ended(click(app, "Start training"))
    names = [trace.get("name") for trace in charts(app)["Recall on validation users"]["data"]]
    assert names[0] == "run 1"
    (table,) = [frame.value for frame in app.dataframe]
    assert table["run"].tolist() == ["1"]
    app = click(app, "Forget earlier runs")
    assert not app.dataframe
    assert "run 1" not in [trace.get("name") for trace in charts(app)["Recall on validation users"]["data"]]


def test_a_second_browser_waits_for_a_run_under_way_and_not_for_a_paused_one() -> None:
    first, opened = paused(click(visited(PAGE, **SMALL), "Train one epoch"), 1), threading.Event()
    studio().jobs.submit("in front", "work in front", lambda handle: opened.wait(PATIENCE), "another", FROM_SCRATCH)
    second = click(visited(PAGE, **SMALL), "Start training")
    assert "Waiting**, number 1 in the queue. Waiting for its turn, behind: work in front." in markdown(second)
    assert labels(second) == ["Cancel"]
    opened.set()
    ended(second)
    assert "Run 1 is finished" in markdown(second)
    assert "**Paused**" in markdown(first.run())


def test_every_epoch_is_there_to_read() -> None:
    app = ended(click(visited(PAGE, **SMALL, t_epochs="2", t_joint="1"), "Start training"))
    app.session_state["train-numbers"] = True
    app.run()
    (table,) = [frame.value for frame in app.dataframe]
    assert table["validation Recall@50"].tolist() == [point.recall for point in view_of(app).points]


def test_an_uploaded_table_is_trained_on(tiny_table: Path) -> None:
    app = visited(PAGE, **SMALL, t_data="upload", t_epochs="2", t_joint="1")
    assert "Choose a file" in app.info[0].value
    assert all(button.disabled for button in app.button if button.label == "Start training")
    app.file_uploader[0].upload("mine.csv", tiny_table.read_bytes(), "text/csv").run()
    assert any("mine: 120 users, 80 items" in text.value for text in app.caption)
    app = ended(click(app, "Start training"))
    assert view_of(app).plan.data.name == "mine"


def test_real_data_is_told_what_the_command_line_would_choose(tiny_table: Path) -> None:
    app = visited(PAGE, **SMALL)
    (said,) = [text.value for text in app.caption if "On the command line" in text.value]
    reason = recommended(studio().split, RunConfig.for_data(False), {}).reason
    assert reason in said
    assert reason.startswith("80 items of which users have")
    assert [code.value for code in app.code] == [f"sparcode train --data {tiny_table.name}"]
    app = visited(PAGE, **SMALL, t_data="upload")
    app.file_uploader[0].upload("mine.csv", tiny_table.read_bytes(), "text/csv").run()
    assert [code.value for code in app.code] == [f"sparcode train --data {loaders.OWN_DATA}"]
    # The defaults for made-up data are the command line's, too.
    assert not visited(PAGE, **SMALL, t_data="small").code


def test_rows_that_an_upload_loses_are_counted_beside_the_data(tiny_table: Path) -> None:
    head, *rows = tiny_table.read_text(encoding="utf-8").splitlines()
    third = [row.split(",")[0] + "," if number % 3 == 0 else row for number, row in enumerate(rows)]
    app = visited(PAGE, **SMALL, t_data="upload")
    app.file_uploader[0].upload("mine.csv", "\n".join([head, *third]).encode(), "text/csv").run()
    (left_out,) = [text.value for text in app.caption if "Left out" in text.value]
    assert f"{sum(row.endswith(',') for row in third):,} rows with an empty user, item or time" in left_out


def test_an_upload_that_cannot_be_used_says_why() -> None:
    app = visited(PAGE, **SMALL, t_data="upload")
    app.file_uploader[0].upload("mine.csv", b"a,b\n1,2\n", "text/csv").run()
    assert not app.exception
    assert "cannot be used" in app.error[0].value
    assert "cannot tell which column" in app.text[0].value


def test_an_upload_that_cannot_be_used_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def refuse(shelf: DataShelf, owner: str, name: str, content: bytes, is_wanted: Callable[[], bool], *rest: object) -> TrainingData:
        read.append(name)
        assert is_wanted()
        raise ValueError("reading it takes more than 7 seconds, the most for one file")

    monkeypatch.setattr(DataShelf, "upload", refuse)
    app = visited(PAGE, **SMALL, t_data="upload")
    app.file_uploader[0].upload("mine.csv", b"a,b\n1,2\n", "text/csv").run()
    for _ in range(2):
        assert "more than 7 seconds" in app.text[0].value
        app.run()
    assert read == ["mine.csv"]
    app.file_uploader[0].upload("other.csv", b"a,b\n1,2\n", "text/csv").run()
    assert read == ["mine.csv", "other.csv"]


def test_made_up_data_of_another_size_can_be_chosen() -> None:
    app = visited(PAGE, **SMALL, t_data="small", t_data_seed="3", t_epochs="1", t_joint="1")
    assert any("synthetic, seed 3" in text.value for text in app.caption)
    control(app.checkbox, "t_two_tower").uncheck().run()
    app = ended(click(app, "Start training"))
    assert "seed 3" in view_of(app).plan.data.name


def test_a_value_of_the_address_that_is_not_possible_is_named() -> None:
    app = visited(PAGE, **SMALL, t_epochs="0", t_data="zzz")
    assert "t_data = zzz, which is not possible for Data set" in app.warning[0].value
    assert "t_epochs = 0, which is not possible for Epochs" in app.warning[1].value
    assert not app.exception


def run_in(app: AppTest) -> str:
    """The run that the address names."""
    found = app.query_params["run"]
    return found if isinstance(found, str) else found[0]


def test_a_run_that_ended_with_the_server_is_named_on_the_next_visit() -> None:
    app = paused(click(visited(PAGE, **SMALL), "Train one epoch"), 1)
    named = run_in(app)
    loaders.close_studio()
    again = visited(PAGE, **SMALL, run=named)
    assert "The run in this link ended with an earlier server" in again.warning[0].value
    assert not click(again, "Start training").warning
    # A reload finds the new run, without a word.
    assert not visited(PAGE, **SMALL, run=run_in(again)).warning
