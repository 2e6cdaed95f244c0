"""Everything one process holds for its visitors: the data, trained models, measured indexes, and the jobs that make them."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Final, NamedTuple

import torch

from app.jobs.job import JobHandle, JobSnapshot
from app.jobs.manager import JobManager
from app.jobs.scoped import ScopedJobs, without_scope
from app.jobs.viewers import Viewers
from app.kept.measured_runs import RUNS
from app.kept.sweep_jobs import READINGS, SWEEPS
from app.measured.code_spaces import MAPPING, SPACES, CodeSpaces
from app.measured.front_tuning import FRONT, FrontTuning
from app.measured.indexes import MeasuredIndexes
from app.measured.item_names import ItemNames
from app.measured.scaling import ScaleMeasurements
from app.measured.serving import Progress, ServingMeasurements
from app.measured.setting_grids import GRIDS, SettingGrids
from app.measured.setting_jobs import PREVIEWS, TIMING, TRAINING, SettingJobs
from app.models.backbones import Backbones
from app.models.trained import Backbone
from app.models.tuned import TunedModels
from app.recorded.runs import RecordedRuns
from app.training.data import STUDIO, training_data
from app.training.plan import EarlierRun
from app.training.session import FROM_SCRATCH, TrainingSession
from sparcode.config import RunConfig
from sparcode.data.fetching import cache_folder
from sparcode.data.interactions import Interactions
from sparcode.data.split import split_users
from sparcode.device import device_of
from sparcode.runs.machine import machine_facts
from sparcode.space.plane_store import PlaneStore

INDEXES_BYTES: Final = 640 * 2**20
MODELS_BYTES: Final = 128 * 2**20
# Of a studio beside the one of the built-in data, of which there may be several.
BESIDE_SHARE: Final = 0.25
COMPARISON_KEY: Final = "comparison"
# The lanes of downloads, and of the files that a report is exported as.
FETCHING: Final = "fetching"
EXPORTS: Final = "exports"


class Place(NamedTuple):
    """Where a studio for other data works: in the process of a studio, whose workers and trainings it shares, under a name of its own.

    `private`: its data is one visitor's, shown to nobody else.
    """

    name: str
    host: Studio
    private: bool = False


class Studio:
    """The parts of one process, wired, for one data set. Safe to share between threads.

    Parameters
    ----------
    config
        Settings the studio was started with; visitors choose quantizer, tokens, encoder, interaction and seed anew.
    recorded
        What was trained and measured for this data before; None: nothing was. Pages may ask it for more, see `RecordedRuns`.
    place
        Where it works if it is not the first of its process.

    Attributes
    ----------
    scope
        Tells its jobs from those of other data; empty for the first studio of the process.
    serving, scaling, from_scratch, grids, front
        The measurements on the Compare and the Scale page, the trainings on the Train page, which all studios of a process share, the
        Explorer's searches of all settings, and the fine-tuning of what they found.
    spaces
        Use of codes and their layouts, for the page Code space.
    own_data, own_training
        Its data as a choice for a training, and the training of its own settings that was recorded or kept.
    """

    def __init__(
        self, interactions: Interactions, config: RunConfig, recorded: RecordedRuns | None = None, place: Place | None = None
    ) -> None:
        self.interactions, self.config = interactions, config
        self.recorded = recorded or RecordedRuns.nothing(interactions)
        self.split = split_users(interactions, config.split)
        self.scope = "" if place is None else place.name
        if place is None:
            self.viewers = Viewers()
            # One training at a time, with one core each, leaves a core for the pages.
            lanes = {
                TRAINING: 1,
                PREVIEWS: 1,
                GRIDS: 1,
                FRONT: 1,
                FROM_SCRATCH: 1,
                TIMING: 1,
                FETCHING: 1,
                EXPORTS: 1,
                SPACES: 1,
                MAPPING: 1,
                RUNS: 1,
                SWEEPS: 1,
                READINGS: 1,
            }
            self.jobs = JobManager(lanes, on_worker_start=lambda: torch.set_num_threads(1), has_left=self.viewers.has_left)
            self.from_scratch = TrainingSession(self.jobs, interactions, self.split, config.split, self.viewers.has_gone)
            self.own_data = self.from_scratch.shelf.own()
        else:
            self.viewers, self.from_scratch = place.host.viewers, place.host.from_scratch
            self.jobs = ScopedJobs(place.host.jobs, place.name)
            self.own_data = training_data(f"{STUDIO}/{interactions.content_hash()}", interactions, self.split)._replace(
                private=place.private
            )
        self.own_training: EarlierRun | None = self.recorded.training(config, self.own_data)
        share = 1.0 if place is None else BESIDE_SHARE
        self.backbones = Backbones(self.split, self.jobs, TRAINING, self.recorded.backbone)
        self.tuned = TunedModels(self.split, self.backbones, self.recorded.tuned, int(share * MODELS_BYTES))
        self.indexes = MeasuredIndexes(self.split, self.backbones, int(share * INDEXES_BYTES))
        self.setting_jobs = SettingJobs(self.jobs, self.backbones, self.tuned, self.indexes, self.at_work)
        self.grids = SettingGrids(self.split, self.jobs, self.backbones)
        self.front = FrontTuning(self.split, self.jobs, self.tuned, self.indexes, self.at_work)
        self.spaces = CodeSpaces(self.split, self.jobs, PlaneStore(cache_folder() / "planes"))
        self.serving = ServingMeasurements(
            self.split,
            interactions.name,
            self.jobs,
            self.backbones,
            self.indexes.all,
            self.at_work,
            self.recorded.serving,
            self.recorded.two_tower,
        )
        self.scaling = ScaleMeasurements(
            self.split, interactions.name, self.jobs, self.backbones, self.serving, self.indexes.all, self.recorded.scale
        )

    @property
    def run_name(self) -> str:
        """The name of the kept run that it shows; empty for data without one."""
        recording = self.recorded.recording
        return "" if recording is None else recording.run

    @cached_property
    def item_names(self) -> ItemNames:
        """The names of the catalogue's items."""
        return ItemNames(self.interactions)

    @property
    def backbone(self) -> Backbone | None:
        """The backbone of the studio's own settings; None until it is trained."""
        return self.backbones.of(self.config)

    @property
    def machine(self) -> str:
        """The machine that figures are measured on, in words."""
        return machine_facts(None if self.backbone is None else device_of(self.backbone.model))

    @property
    def is_busy(self) -> bool:
        """Whether a job of its own is queued or running."""
        return self.jobs.has_active()

    def at_work(self) -> set[str]:
        """Keys of all running jobs; a paused training and the timing of queries do not count."""
        return {key for key in self.jobs.running() if not without_scope(key).startswith(f"{TIMING}/")} - self.from_scratch.paused()

    def start_comparison(self, owner: str) -> JobSnapshot:
        """Train the studio's own setting and measure it beside its peers in the background, or join the work under way.

        A missing backbone is trained first. The result is that of `serving`, which every page shows.
        """
        if self.backbone is None:
            self.backbones.start(self.config, owner)
        return self.jobs.submit(COMPARISON_KEY, "comparison of models", self._compare, owner, TRAINING)

    def close(self) -> None:
        """Stop all its jobs; the first studio of a process also ends the reading of files, and all workers."""
        if not self.scope:
            self.from_scratch.shelf.close()
        self.jobs.close()

    def _compare(self, handle: JobHandle) -> None:
        if self.backbone is None:
            raise ValueError("the backbone was not trained, so there is nothing to compare")
        most = self.config.training.joint_epochs

        def busy() -> bool:
            return not self.at_work() <= {COMPARISON_KEY}

        # All epochs, as for its peers.
        tuned = self.tuned.train(
            self.config, math.inf, lambda record: handle.publish(Progress("Fine-tuning SparCode", record.epoch, most)), handle
        )
        handle.publish(Progress("Measuring SparCode's index", 0, 0))
        shown = self.indexes.get("fine-tuned", self.config)
        if not tuned.trained:
            self.indexes.measure_preview(self.config, handle, whole_curve=False, busy=busy)
        elif shown is None or shown.cut_short or not shown.complete:
            self.indexes.measure_tuned(self.config, tuned, handle, busy)
        self.serving.measure(self.config, handle, COMPARISON_KEY)
