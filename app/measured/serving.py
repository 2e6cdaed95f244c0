"""Background measurements of SparCode's index and other serving methods; results are kept until they are measured again."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Final, NamedTuple

import faiss

from app.jobs.byte_cache import ByteCache
from app.jobs.job import JobHandle, JobSnapshot
from app.jobs.scoped import Jobs
from app.measured.measured_index import Kind, MeasuredIndex
from app.models.backbones import Backbones
from app.models.trained import Recording, weight_bytes
from sparcode.comparison.measuring import Measurement, TimingPlan, at_settings, measure_in_turn
from sparcode.comparison.peers import SEARCHED, BaselinePeer, PeerAtSetting, Sweep
from sparcode.comparison.training import Models, Step, Trained
from sparcode.config import RunConfig
from sparcode.data.split import Split
from sparcode.model.all_to_all import AllToAllModel
from sparcode.runs.machine import machine_facts
from sparcode.training.pipeline import OnEpoch

LANE: Final = "training"
BASELINES: Final = tuple(peer.name for peer in SEARCHED if isinstance(peer, BaselinePeer))
# Rising effort: the first setting with enough recall is the cheapest one.
SWEEP: Final = Sweep(
    densities=(0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.35, 0.5),
    links=(32,),
    ef_search=(64, 128, 256, 512),
    n_lists=(0,),
    n_probe=(1, 2, 4, 8, 16),
    # The faster of HNSW's two ways to exclude seen items on MovieLens 1M, three seeds (docs/benchmarks.md, end to end).
    exclude=("selector",),
)
PLAN: Final = TimingPlan()
TWO_TOWERS_BYTES: Final = 64 * 2**20
BASELINES_BYTES: Final = 256 * 2**20
RESULTS_BYTES: Final = 32 * 2**20


class Progress(NamedTuple):
    """The progress of a measurement: a step in words, its parts done and in total, the latter 0 where it is not known.

    `point` has just been measured; it is None while models are trained and indexes built.
    """

    step: str
    done: int
    total: int
    point: Measurement | None = None


class ServingResult(NamedTuple):
    """A finished measurement, with what its figures depend on.

    Attributes
    ----------
    points
        A peer's settings in order of rising effort.
    left_out
        Why a peer has no point, one sentence each.
    config, kind, n_epochs, cut_short
        Of the SparCode model: settings, how it came about, epochs of joint training, and whether the time limit ended it.
    n_queries
        Test users.
    measured_at
        Local time, ISO 8601.
    seconds
        Time of the measurement, training its peers included.
    n_items
        Items of the catalogue.
    recording
        When and where it was recorded; None: it was measured here.
    """

    points: tuple[Measurement, ...]
    left_out: tuple[str, ...]
    config: RunConfig
    kind: Kind
    n_epochs: int
    cut_short: bool
    data_name: str
    n_queries: int
    machine: str
    measured_at: str
    seconds: float
    n_items: int = 0
    recording: Recording | None = None

    @property
    def busy(self) -> bool:
        """Whether other jobs ran beside it."""
        return any(point.busy for point in self.points)


class ServingMeasurements:
    """Measurements of one data set: at most one at a time, and never beside training. Safe to share between threads.

    `seen_indexes` gives the measured indexes in memory, `at_work` the keys of all running jobs, `recorded` the recorded measurement of a
    setting, `recorded_two_tower` its recorded two-tower model.
    """

    def __init__(
        self,
        split: Split,
        data_name: str,
        jobs: Jobs,
        backbones: Backbones,
        seen_indexes: Callable[[], list[MeasuredIndex]],
        at_work: Callable[[], set[str]],
        recorded: Callable[[RunConfig], ServingResult | None] = lambda config: None,
        recorded_two_tower: Callable[[RunConfig], Trained | None] = lambda config: None,
    ) -> None:
        self._recorded, self._recorded_two_tower = recorded, recorded_two_tower
        self._split, self._data_name, self._jobs, self._backbones = split, data_name, jobs, backbones
        self._seen_indexes, self._at_work = seen_indexes, at_work
        self._two_towers: ByteCache[Trained] = ByteCache(TWO_TOWERS_BYTES, lambda trained: weight_bytes(trained.model))
        # They depend on the split alone.
        self._baselines: ByteCache[Trained] = ByteCache(BASELINES_BYTES, lambda trained: sum(trained.model.size_bytes().values()))
        self._results: ByteCache[ServingResult] = ByteCache(RESULTS_BYTES, _result_bytes)

    def start(self, config: RunConfig, owner: str) -> JobSnapshot:
        """Measure a setting's best index in the background, or join the measurement under way."""
        label = f"measurement of M = {config.quantizer.n_codebooks}, K = {config.quantizer.codebook_size} beside its peers"
        return self._jobs.submit(serving_key(config), label, lambda handle: self.measure(config, handle, serving_key(config)), owner, LANE)

    def job(self, config: RunConfig) -> JobSnapshot | None:
        """The last measurement of a setting; None if there is none (any more)."""
        return self._jobs.get(serving_key(config))

    def result(self, config: RunConfig) -> ServingResult | None:
        """The last finished measurement of a setting, else the recorded one."""
        return self._results.get(config.content_hash()) or self._recorded(config)

    def two_tower(self, config: RunConfig, handle: JobHandle, on_epoch: OnEpoch) -> Trained:
        """The two-tower model of a setting's encoder, seed and training, recorded or trained by the first job that needs it.

        ComparisonStopped if the job was cancelled meanwhile; the next one trains it anew.
        """
        known = self.known_two_tower(config)
        if known is None:
            known = Models(self._split, config, on_epoch=on_epoch, should_stop=handle.should_stop).get("two-tower")
            self._two_towers.put(_two_tower_hash(config), known)
        return known

    def known_two_tower(self, config: RunConfig) -> Trained | None:
        """The two-tower model of a setting if it was recorded or trained before (and is kept still)."""
        key = _two_tower_hash(config)
        known = self._two_towers.get(key)
        if known is None and (known := self._recorded_two_tower(config)) is not None:
            self._two_towers.put(key, known)
        return known

    def start_two_tower(self, config: RunConfig, owner: str) -> JobSnapshot:
        """Train a setting's two-tower model alone in the background, or join the training under way."""

        def train(handle: JobHandle) -> None:
            self.two_tower(config, handle, handle.publish)

        return self._jobs.submit(two_tower_key(config), "training of two-tower", train, owner, LANE)

    def two_tower_job(self, config: RunConfig) -> JobSnapshot | None:
        """The last training that `start_two_tower` began; None if there is none (any more)."""
        return self._jobs.get(two_tower_key(config))

    def measure(self, config: RunConfig, handle: JobHandle, key: str) -> None:
        """Measure a setting's best index and keep the result: the work of the job with that key.

        ValueError where there is no whole index.
        """
        started = datetime.datetime.now().astimezone()
        measured = best_measured(self._seen_indexes(), config)
        if measured is None:
            raise ValueError("there is no whole index of this setting yet; wait for its first figures and start again")
        peers, left_out = self._peers(measured, self._backbones.train(config, handle).model, config, handle)
        points = self._points(peers, key, handle)
        result = ServingResult(
            points=points,
            left_out=tuple(f"{name} is left out: {reason}" for name, reason in left_out.items()),
            config=config,
            kind=measured.called,
            n_epochs=measured.n_epochs,
            cut_short=measured.cut_short,
            data_name=self._data_name,
            n_queries=len(self._split.test.queries),
            machine=machine_facts(),
            measured_at=started.isoformat(timespec="seconds"),
            seconds=(datetime.datetime.now().astimezone() - started).total_seconds(),
            n_items=self._split.train.n_items,
        )
        self._results.put(config.content_hash(), result)

    def _points(self, peers: list[PeerAtSetting], key: str, handle: JobHandle) -> tuple[Measurement, ...]:
        """Measure all, publishing each; JobCancelled if the job is cancelled."""
        # Limits the calling thread only; training elsewhere keeps its own number.
        faiss.omp_set_num_threads(1)
        points: dict[str, Measurement] = {}
        total = PLAN.n_steps(len(peers))

        def is_busy() -> bool:
            return not self._at_work() <= {key}

        measured = measure_in_turn(peers, self._split.test, PLAN, handle.check, is_busy)
        for done, point in enumerate(measured, start=1):
            points[point.label] = point
            handle.publish(Progress("Timing in turn" if point.n_rounds else "Measuring recall", done, total, point))
        handle.check()
        return tuple(points.values())

    def _peers(
        self, measured: MeasuredIndex, backbone: AllToAllModel, config: RunConfig, handle: JobHandle
    ) -> tuple[list[PeerAtSetting], dict[str, str]]:
        """Retrievers of a measured index and of its peers, ready to be timed, and why a peer is missing."""
        training, explorer, built = config.training, measured.explorer, []
        most = training.epochs + training.joint_epochs

        def two_tower() -> Trained:
            handle.publish(Progress("Training two-tower", 0, most))
            return self.two_tower(config, handle, lambda record: handle.publish(Progress("Training two-tower", record.epoch, most)))

        def on_peer(peer: PeerAtSetting) -> None:
            built.append(peer)
            handle.publish(Progress("Building the indexes", len(built), 0))
            if peer.name in BASELINES:
                self._baselines.put(peer.name, models.get(peer.name))

        def on_step(step: Step) -> None:
            handle.publish(Progress(f"{step.name[0].upper()}{step.name[1:]}", 0, 0))

        given = {
            "sparcode": Trained(explorer.model),
            "index": Trained(explorer.index),
            "backbone": Trained(backbone),
            "two-tower": two_tower,
            **{name: known for name in BASELINES if (known := self._baselines.get(name)) is not None},
        }
        models = Models(self._split, measured.config, given=given, on_step=on_step, should_stop=handle.should_stop)
        models.get("two-tower")
        return at_settings(SEARCHED, models, SWEEP._replace(asked=self._split.test.queries), on_peer)


def best_measured(indexes: list[MeasuredIndex], config: RunConfig) -> MeasuredIndex | None:
    """The complete index of a setting's trained model, else of its preview, else None, from indexes of any setting."""
    of_setting = [index for index in indexes if index.complete and index.config == config]
    return max(of_setting, key=lambda index: not index.is_preview, default=None)


def points_of(job: JobSnapshot | None) -> list[Measurement]:
    """The points a measurement has published so far: the latest of every retriever and setting, in order."""
    latest: dict[str, Measurement] = {}
    for record in () if job is None else job.records:
        if isinstance(record, Progress) and record.point is not None:
            latest[record.point.label] = record.point
    return list(latest.values())


def serving_key(config: RunConfig) -> str:
    """Key of the job that measures a setting."""
    return f"serving/{config.content_hash()}"


def two_tower_key(config: RunConfig) -> str:
    """Key of the job that trains a setting's two-tower model alone."""
    return f"two-tower/{_two_tower_hash(config)}"


def _two_tower_hash(config: RunConfig) -> str:
    model = config.model.model_copy(update={"n_tokens": 1, "interaction": "dot"})
    return f"{model.content_hash()} {config.training.content_hash()}"


def _result_bytes(result: ServingResult) -> int:
    return sum(point.recall_by_query.nbytes for point in result.points)
