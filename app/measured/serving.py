"""Measurements of SparCode's index beside other ways to serve, as background jobs; results are kept until they are measured again."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import faiss

from app.jobs.byte_cache import ByteCache
from app.jobs.job import JobHandle, JobSnapshot
from app.measured.comparison import train_peer
from app.measured.measured_index import Kind, MeasuredIndex
from app.models.trained import TrainedTwoTower
from sparcode.comparison.measuring import ServingPoint, TimingPlan, measure_serving
from sparcode.comparison.serving_peers import Peer, Sweep, all_to_all_peer, sparse_peers, two_tower_peers
from sparcode.config import RunConfig
from sparcode.runs.machine import machine_facts
from sparcode.training.pipeline import OnEpoch

if TYPE_CHECKING:
    from app.studio import Studio

LANE: Final = "training"
# Rising effort, so that the first setting that finds enough is the cheapest one.
SWEEP: Final = Sweep(
    densities=(0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.35, 0.5),
    links=(32,),
    ef_search=(64, 128, 256, 512),
    n_lists=(0,),
    n_probe=(1, 2, 4, 8, 16),
    # The faster of HNSW's two ways to leave out seen items on MovieLens 1M, three seeds (docs/benchmarks.md, end to end).
    exclude=("selector",),
)
PLAN: Final = TimingPlan()
KEPT_TWO_TOWERS: Final = 8
RESULTS_BYTES: Final = 32 * 2**20


class Progress(NamedTuple):
    """How far a measurement is.

    Attributes
    ----------
    step
        What it is doing, in words.
    done, total
        Of this step's parts.
    point
        What has just been measured; None while models are trained and indexes built.
    """

    step: str
    done: int
    total: int
    point: ServingPoint | None = None


class ServingResult(NamedTuple):
    """A finished measurement, with what its figures depend on.

    Attributes
    ----------
    points
        A kind's settings in order of rising effort.
    config
        Settings of the SparCode model.
    kind, n_epochs, cut_short
        How that model came about, the epochs of its joint training, and whether the clock ended it.
    data_name
        The data set.
    n_queries
        Test users.
    machine
        Measured on.
    measured_at
        Local time, ISO 8601.
    seconds
        What the measurement took, training two-tower included.
    """

    points: tuple[ServingPoint, ...]
    config: RunConfig
    kind: Kind
    n_epochs: int
    cut_short: bool
    data_name: str
    n_queries: int
    machine: str
    measured_at: str
    seconds: float

    @property
    def busy(self) -> bool:
        """Whether other jobs ran beside it."""
        return any(point.busy for point in self.points)


class ServingMeasurements:
    """Measurements of one studio: at most one at a time, and never beside training. Safe to share between threads.

    Parameters
    ----------
    studio
        Has data, models, measured indexes and the job manager.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._two_towers: dict[str, TrainedTwoTower] = {}
        self._results: ByteCache[ServingResult] = ByteCache(RESULTS_BYTES, _result_bytes)

    def start(self, config: RunConfig, owner: str) -> JobSnapshot:
        """Measure a setting's best index in the background, or join the measurement under way."""
        label = f"measurement of M = {config.quantizer.n_codebooks}, K = {config.quantizer.codebook_size} beside its peers"
        return self._studio.jobs.submit(serving_key(config), label, lambda handle: self._measure(config, handle), owner, LANE)

    def job(self, config: RunConfig) -> JobSnapshot | None:
        """The last measurement of a setting as it stands; None if there never was one or it is forgotten."""
        return self._studio.jobs.get(serving_key(config))

    def result(self, config: RunConfig) -> ServingResult | None:
        """The last finished measurement of a setting."""
        return self._results.get(config.content_hash())

    def two_tower(self, config: RunConfig, handle: JobHandle, on_epoch: OnEpoch) -> TrainedTwoTower:
        """The two-tower model of a setting's encoder, seed and training, trained by the first job that needs it.

        Parameters
        ----------
        config
            The setting; codes, tokens and interaction play no part.
        handle
            Of that job.
        on_epoch
            Told every epoch of that training.

        Raises
        ------
        JobCancelled
            If the job was cancelled on the way; the next one trains it anew.
        """
        model = config.model.model_copy(update={"n_tokens": 1, "interaction": "dot"})
        key = f"{model.content_hash()} {config.training.content_hash()}"
        if key not in self._two_towers:
            self._two_towers[key] = train_peer(self._studio.split, config, on_epoch, handle)
            while len(self._two_towers) > KEPT_TWO_TOWERS:
                self._two_towers.pop(next(iter(self._two_towers)))
        return self._two_towers[key]

    def _measure(self, config: RunConfig, handle: JobHandle) -> None:
        started = datetime.datetime.now().astimezone()
        stage, backbone = best_measured(self._studio.indexes.all(), config), self._studio.backbones.of(config)
        if stage is None or backbone is None:
            raise ValueError("there is no whole index of this setting yet; wait for its first figures and start again")
        training = config.training
        most = training.epochs + training.joint_epochs
        handle.publish(Progress("Training two-tower", 0, most))
        two_tower = self.two_tower(config, handle, lambda record: handle.publish(Progress("Training two-tower", record.epoch, most)))
        peers = [*self._peers(stage, two_tower, handle), all_to_all_peer(backbone.model)]
        points = self._points(peers, serving_key(config), handle)
        result = ServingResult(
            points=points,
            config=config,
            kind=stage.kind,
            n_epochs=max(0, len(stage.records) - 1),
            cut_short=stage.cut_short,
            data_name=self._studio.interactions.name,
            n_queries=len(self._studio.split.test.queries),
            machine=machine_facts(),
            measured_at=started.isoformat(timespec="seconds"),
            seconds=(datetime.datetime.now().astimezone() - started).total_seconds(),
        )
        self._results.put(config.content_hash(), result)

    def _points(self, peers: list[Peer], key: str, handle: JobHandle) -> tuple[ServingPoint, ...]:
        """Measure all, publishing each; a cancelled job ends by `JobCancelled`."""
        # A limit of the calling thread, so that training elsewhere keeps its own.
        faiss.omp_set_num_threads(1)
        points: dict[str, ServingPoint] = {}
        total = PLAN.n_steps(len(peers))

        def is_busy() -> bool:
            return not self._studio.at_work() <= {key}

        measured = measure_serving(peers, self._studio.split.test, PLAN, handle.check, is_busy)
        for done, point in enumerate(measured, start=1):
            points[point.name] = point
            handle.publish(Progress("Timing in turn" if point.n_rounds else "Measuring recall", done, total, point))
        handle.check()
        return tuple(points.values())

    def _peers(self, stage: MeasuredIndex, two_tower: TrainedTwoTower, handle: JobHandle) -> list[Peer]:
        explorer = stage.explorer
        peers = list(sparse_peers(explorer.model, explorer.index, SWEEP.densities, stage.config.index.unseen, n_threads=1))
        for peer in two_tower_peers(two_tower.model, SWEEP, self._studio.split.test.queries):
            handle.check()
            handle.publish(Progress("Building the indexes", len(peers), len(peers) + 1))
            peers.append(peer)
        return peers


def best_measured(stages: list[MeasuredIndex], config: RunConfig) -> MeasuredIndex | None:
    """The trained stage of a setting with its whole index, else the preview, else None.

    Parameters
    ----------
    stages
        Measured stages of any setting.
    config
        The setting.
    """
    of_setting = [stage for stage in stages if stage.complete and stage.config == config]
    return max(of_setting, key=lambda stage: not stage.is_preview, default=None)


def points_of(job: JobSnapshot | None) -> list[ServingPoint]:
    """What a measurement has published so far: the latest of every retriever and setting, in order."""
    latest: dict[str, ServingPoint] = {}
    for record in () if job is None else job.records:
        if isinstance(record, Progress) and record.point is not None:
            latest[record.point.name] = record.point
    return list(latest.values())


def serving_key(config: RunConfig) -> str:
    """Key of the job that measures a setting."""
    return f"serving/{config.content_hash()}"


def _result_bytes(result: ServingResult) -> int:
    return sum(point.recall_by_query.nbytes for point in result.points)
