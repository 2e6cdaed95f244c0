"""Training from scratch, live: controls, curves, figures and earlier runs."""

from __future__ import annotations

import math
from typing import Final

import streamlit as st

from app.components.data_table import data_table
from app.components.figure_tiles import add_figures_button
from app.components.provenance import kind_badge, recorded_notes
from app.jobs.job import JobState, status_text
from app.measured.verdict import ERRORS
from app.report.entry import Tile
from app.session import loaders
from app.session.address import plain_text, read_address, write_address
from app.session.live_panel import keep_live, live_panel
from app.session.report import FiguresOf, figures_are_of
from app.session.settings import TRAIN, settings_text
from app.session.visitor import owner_id
from app.studio import Studio
from app.train.charts import numbers, runs_table, training_charts
from app.train.keeping import keep_buttons
from app.train.settings import Choice, training_settings
from app.training.control import Pace
from app.training.run import JOINT, RunResult
from app.training.session import TrainingSession, TrainingView
from app.training.time_left import TimeLeft
from sparcode.comparison.paired import most_error
from sparcode.config import DEFAULT_K
from sparcode.glossary import about
from sparcode.metrics.registry import METRICS

POLL_SECONDS: Final = 0.5
_LIVE: Final = "train_live"
_RUN: Final = "run"
_CODES_HELP: Final = f"{about('codes_in_use')} Counted over up to 1,024 training queries, after the last epoch."
_EMPTY: Final = """
**Nothing has been trained in this browser yet.** A run goes through the paper's own procedure, epoch by epoch:

1. the **all-to-all** model is trained: the network that scores every pair of token and item, without codes. It is a baseline, too;
2. its tokens become **codes** by k-means, and encoder, codebooks and network are trained together: **SparCode**;
3. **two-tower** is trained on the same users with the same budget, if it is ticked;
4. SparCode is indexed and measured on test users it never saw.

Every epoch shows at once. A run can be paused, stepped through and cancelled; it goes on when you leave the page or reload
it, and pauses a minute after the last tab of the studio in this browser was closed. A pause of half an hour ends it.
"""


def training() -> None:
    """The whole panel; it reruns by itself while a run is under way, without the rest of the page."""
    studio = loaders.studio()
    defaults = loaders.run_config(studio.interactions.synthetic)
    for text in read_address(TRAIN, defaults):
        st.warning(text)
    recorded_notes(studio)
    _name_run(studio.from_scratch)
    st.markdown(_lead(studio.from_scratch.view(owner_id(), studio.own_training), studio))
    left, right = st.columns((5, 16), gap="medium")
    with left:
        choice = training_settings(studio, defaults)
    write_address(TRAIN, defaults)
    with right:
        live_panel(_panel, _LIVE, POLL_SECONDS, studio, choice)


def _lead(view: TrainingView, studio: Studio) -> str:
    """What the training shown came to, and what to do."""
    result = view.result
    if result is None or view.active:
        return "Choose data, networks and codes, and watch a model being **trained from scratch**, beside its baselines and earlier runs."
    recall, size = METRICS["recall"].text, METRICS["size_bytes"].text(result.size_bytes)
    beside = "" if math.isnan(result.two_tower) else f", two-tower {recall(result.two_tower)}"
    error = _most_noise(view, studio)
    noise = f" (one seed, each at most ±{error:.3f})" if error else ""
    return (
        f"**Trained from scratch, SparCode reaches {_ratio(result.recall, result.all_to_all)} of all-to-all's recall, from {size}**: "
        f"Recall@{DEFAULT_K} {recall(result.recall)} of {recall(result.all_to_all)}{beside}{noise}. "
        "Choose data, networks and codes, and watch another."
    )


def _name_run(session: TrainingSession) -> None:
    """Write the run under way to the address, so that the page can report it as lost after a restart of the server."""
    named, own = st.query_params.get(_RUN, ""), session.run_id(owner_id())
    if session.is_lost(named):
        st.warning(
            "The run in this link ended with an earlier server: its curves are gone. Its settings are still in the address, so "
            "**Start training** repeats it."
        )
    elif own and own != named and session.view(owner_id()).active:
        st.query_params[_RUN] = own


def _panel(studio: Studio, choice: Choice | None) -> None:
    session, owner = studio.from_scratch, owner_id()
    view = session.view(owner, studio.own_training)
    # Charts are kept only while the number of elements above them stays the same.
    figures_are_of(_source(view, studio))
    head, cards, charts = st.container(), st.container(), st.container()
    with head:
        _status(view)
        _buttons(view, session, owner, choice)
    if view.plan is None and not view.earlier:
        st.markdown(_EMPTY)
    else:
        if view.result is not None:
            with cards:
                _figures(view, view.result)
                if view.job is not None:
                    keep_buttons(view, session.finished(owner))
        with charts:
            training_charts(view, _shown_data(view, choice))
        _provenance(view, studio)
        _tables(view, session, owner)
    keep_live(_LIVE, view.job is not None and view.job.active)


def _source(view: TrainingView, studio: Studio) -> FiguresOf:
    """What the charts are of: a run, whose data may be other than what is chosen beside the title."""
    if view.plan is None:
        return FiguresOf("Train", studio)
    data = view.plan.data
    other = "" if data.key == studio.own_data.key else f"{plain_text(data.name)}: {data.facts}"
    return FiguresOf("Train", studio, view.plan.config, "trained from scratch", view.plan.recording, other)


def _shown_data(view: TrainingView, choice: Choice | None) -> str:
    if view.plan is not None:
        return view.plan.data.key
    return view.earlier[-1].plan.data.key if choice is None else choice.data.key


def _status(view: TrainingView) -> None:
    if view.job is None:
        if view.plan is not None:
            _recorded(view)
        return
    text = status(view)
    if view.state is JobState.FAILED:
        st.error(text)
    elif view.state is JobState.CANCELLED:
        st.warning(text)
    else:
        with st.container(horizontal=True, vertical_alignment="center"):
            kind_badge("trained from scratch")
            st.markdown(text)


def _recorded(view: TrainingView) -> None:
    n_epochs = sum(point.epoch > 0 for point in view.points)
    recording = view.plan.recording
    with st.container(horizontal=True, vertical_alignment="center"):
        kind_badge("trained from scratch" if recording.run else "recorded", recording)
        st.markdown(f"{n_epochs} epochs in {view.seconds:.0f} s, trained and measured {recording.day_words}.")
    st.markdown(
        "**Start training** to watch a run of your own, with these or other settings; this one then stays behind it. A run goes from the "
        "**all-to-all** model, which has no codes, by k-means to **SparCode**, trained on together with its codes, and ends on test users "
        "it never saw."
    )


def status(view: TrainingView) -> str:
    """The state of a view's job in words."""
    job, plan, points = view.job, view.plan, view.points
    n_epochs = sum(point.epoch > 0 for point in points)
    trained = f"{n_epochs} epoch{'' if n_epochs == 1 else 's'}"
    if view.state is JobState.QUEUED:
        return f"**Waiting**{place_text(view.ahead)}. {status_text(job)} One training from scratch at a time, so that the pages stay quick."
    if view.state is JobState.FAILED:
        way_on = "Its curves stand below. Where the loss is no number any more, a smaller step size helps."
        return f"Run {plan.number} ended with an error after {trained}: {plain_error(job.error)} {way_on if points else ''}"
    if view.state is JobState.CANCELLED:
        return f"Run {plan.number} was cancelled after {trained}." + (" Its curves stand below." if points else "")
    if view.state is JobState.DONE:
        return f"**Run {plan.number} is finished**: {trained} in {view.seconds:.0f} s of training."
    if not points:
        where = "starting: reading the data and preparing the first epoch"
    else:
        last = points[-1]
        most = plan.most_epochs[last.stage]
        place = "codes made by k-means" if last.stage == JOINT and last.epoch == 0 else f"epoch {last.epoch} of at most {most}"
        where = f"{last.stage}, {place}"
    told = {Pace.PAUSED: "Paused", Pace.PAUSING: "Pausing", Pace.STEPPING: "One epoch", Pace.RUNNING: "Training"}[view.pace]
    return f"**{told}** · run {plan.number} · {where} · {view.seconds:.0f} s · {left_text(view.left)}"


def place_text(ahead: tuple[TimeLeft, ...]) -> str:
    """Place in the queue, and how long it takes where that is known."""
    if not ahead:
        return ""
    known = all(left.seconds > 0 and not left.unknown for left in ahead)
    return f", number {len(ahead)} in the queue" + (f", for about {sum(left.seconds for left in ahead):.0f} s" if known else "")


def left_text(left: TimeLeft) -> str:
    """The estimate in words; training may always end earlier."""
    later = f"{' and '.join(left.unknown)} not timed yet"
    if left.unknown and left.seconds == 0:
        return later
    seconds = f"at most about {left.seconds:.0f} s left" if left.seconds >= 1 else "almost done"
    return f"{seconds}, then {later}" if left.unknown else seconds


def plain_error(error: str) -> str:
    """An error's text for a page that renders Markdown, closed by a full stop."""
    text = error.replace("`", "'").replace("[", "(").replace("<", "‹").replace("*", "").replace("$", "")
    return text if text.endswith(".") else f"{text}."


def _buttons(view: TrainingView, session: TrainingSession, owner: str, choice: Choice | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if not view.active:
            arguments, nothing = (session, owner, choice), choice is None
            st.button("Start training", type="primary", on_click=_start, args=arguments, disabled=nothing, shortcut="P")
            st.button(
                "Train one epoch",
                on_click=_start,
                args=(*arguments, True),
                disabled=nothing,
                shortcut="N",
                help="Starts a run that waits after its first epoch.",
            )
            return
        if view.state is JobState.RUNNING:
            if view.pace in (Pace.PAUSED, Pace.PAUSING):
                st.button("Resume", type="primary", on_click=session.resume, args=(owner,), shortcut="P")
            else:
                st.button("Pause", on_click=session.pause, args=(owner,), shortcut="P")
            st.button("Step one epoch", on_click=session.step, args=(owner,), shortcut="N", help="To the end of one epoch, then wait.")
        st.button("Cancel", on_click=session.cancel, args=(owner,))


def _start(session: TrainingSession, owner: str, choice: Choice, one_epoch: bool = False) -> None:
    session.start(owner, choice.data, choice.config, choice.two_tower, one_epoch)
    st.query_params[_RUN] = session.run_id(owner)


def _figures(view: TrainingView, result: RunResult) -> None:
    last = next((point for point in reversed(view.points) if point.stage == JOINT), None)
    recall, of_all_to_all = METRICS["recall"].text, f"{_ratio(result.recall, result.all_to_all)} of all-to-all"
    cards = [
        (f"Recall@{DEFAULT_K}", recall(result.recall), f"{of_all_to_all} ({recall(result.all_to_all)})", about("recall")),
        (
            "Index size",
            METRICS["size_bytes"].text(result.size_bytes),
            f"{METRICS['density'].text(result.density)} of scores",
            about("size_bytes"),
        ),
    ]
    if last is not None:
        cards.append(
            ("Codes in use", f"{last.codes_in_use:,}", f"{METRICS['dead_share'].text(last.dead_share)} codewords dead", _CODES_HELP)
        )
    if not math.isnan(result.two_tower):
        cards.append((f"Two-tower Recall@{DEFAULT_K}", recall(result.two_tower), "scores every item", about("two_tower")))
    with st.grid(4, min_column_width=170):
        for label, value, note, text in cards:
            st.metric(label, value, note, delta_color="off", delta_arrow="off", border=True, help=text)
    add_figures_button([Tile(label, value, note) for label, value, note, _ in cards], "train-figures")


def _ratio(value: float, other: float) -> str:
    return f"{value / other:.0%}" if other else "-"


def _provenance(view: TrainingView, studio: Studio) -> None:
    if view.plan is None:
        return
    data, config = view.plan.data, view.plan.config
    made_up = ", made up by this project" if data.synthetic else ""
    recording = view.plan.recording
    machine = studio.machine if view.result is None else view.result.machine
    measured = f"Measured on this machine: {machine}" if recording is None else f"Trained and measured {recording.words}"
    st.caption(
        f"**Trained from scratch**, {view.plan.name}: {settings_text(config)}. Data: **{plain_text(data.name)}**{made_up}: "
        f"{data.facts}. Curves: validation users, the best epoch is kept. Recall and size in the boxes: test users, through the index at "
        f"the run's own threshold. One seed. {_chance(view, studio)}{measured}."
    )


def _chance(view: TrainingView, studio: Studio) -> str:
    noise = _most_noise(view, studio)
    return f"Two standard errors of a recall are at most {noise:.3f}: smaller differences may be chance. " if noise else ""


def _most_noise(view: TrainingView, studio: Studio) -> float:
    """Most of two standard errors of a recall, by the number of test users, since only means are kept; 0 where it is not known."""
    if view.result is None:
        return 0.0
    own = view.plan.data.key == studio.own_data.key
    n_users = view.result.n_users or (len(studio.split.test.queries) if own else 0)
    result = view.result
    shown = [recall for recall in (result.recall, result.all_to_all, result.two_tower) if not math.isnan(recall)]
    return ERRORS * max(most_error(recall, n_users) for recall in shown) if n_users else 0.0


def _tables(view: TrainingView, session: TrainingSession, owner: str) -> None:
    with st.expander("Show data: every epoch", on_change="rerun", key="train-numbers") as table:
        if table.open:
            data_table(numbers(view.points), "Figures of every epoch", "train-epochs", hide_index=True)
    if view.earlier:
        st.subheader("Earlier runs")
        data_table(runs_table(view.earlier), "Settings and test figures of earlier runs", "train-runs", hide_index=True)
        st.caption("Kind: trained from scratch. Test users of each run's own data; only runs on the same data stand behind the curves.")
        if any(run.plan.recording is None for run in view.earlier):
            st.button("Forget earlier runs", on_click=session.forget_earlier, args=(owner,))
