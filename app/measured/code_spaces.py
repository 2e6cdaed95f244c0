"""The code space of measured models: use of codes, items they rank first, and points laid out in a plane; made in the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from app.jobs.byte_cache import ByteCache
from app.jobs.job import JobHandle, JobSnapshot, JobState
from app.jobs.scoped import Jobs
from app.measured.measured_index import MeasuredIndex
from sparcode.data.split import Split
from sparcode.space.places import SpacePoints, space_points
from sparcode.space.plane import UmapSettings, plane_key, principal_plane, umap_plane
from sparcode.space.plane_store import PlaneStore
from sparcode.space.ranked import CodeLists, code_lists
from sparcode.space.units import CodeUnits, code_units
from sparcode.space.use import CodeUse, code_use

# Lanes: what a page waits for, and what takes long.
SPACES: Final = "spaces"
MAPPING: Final = "mapping"
# Of the samples that are drawn, and of UMAP.
SEED: Final = 0
# Units whose first item is told, most used first.
NAMED: Final = 300
UMAP: Final = UmapSettings(seed=SEED)
_USES_BYTES: Final = 64 * 2**20
_SPACES_BYTES: Final = 32 * 2**20
_PLANES_BYTES: Final = 8 * 2**20


class SpaceWanted(NamedTuple):
    """What is looked at: one codebook, from 0, or whole codes (None), with at most so many points."""

    book: int | None
    n_points: int


class ModelUse(NamedTuple):
    """What does not depend on how codes are looked at: use of whole codes by the training users, and the lists at the model's own tau."""

    use: CodeUse
    lists: CodeLists

    @property
    def n_bytes(self) -> int:
        """Memory in bytes."""
        carried, added = self.use.carried, self.lists.added
        return sum(part.nbytes for matrix in (carried, added) for part in (matrix.data, matrix.indices, matrix.indptr))


@dataclass(frozen=True, eq=False)
class CodeSpace:
    """A model's code space.

    Attributes
    ----------
    version
        Tells it from others of the same data.
    units, use
        What is selected and counted, and its use by the training users.
    whole, lists
        Use of whole codes, and their lists.
    points
        None where codes have no place among tokens; `why_none` says why.
    pca
        Places of the points along their principal components, (N, 2) float32.
    """

    version: str
    units: CodeUnits
    use: CodeUse
    whole: CodeUse
    lists: CodeLists
    points: SpacePoints | None
    pca: np.ndarray
    why_none: str = ""

    @property
    def n_bytes(self) -> int:
        """Memory in bytes, without what other code spaces of the model share."""
        points = () if self.points is None else self.points[:4]
        return self.pca.nbytes + sum(part.nbytes for part in points) + self.use.carried.nnz * 9

    @cached_property
    def key(self) -> str:
        """Names its layout; empty without points."""
        return "" if self.points is None else plane_key(self.points.vectors, UMAP)

    @cached_property
    def first_items(self) -> dict[int, int]:
        """The item that each of the `NAMED` most used units ranks first; a unit without one is left out."""
        units = self.use.units[self.use.order][:NAMED].tolist()
        ranked = {unit: self.ranked(np.array([unit]), 1)[0] for unit in units}
        return {unit: int(items[0]) for unit, items in ranked.items() if len(items)}

    def points_of(self, kind: int, numbers: Sequence[int]) -> list[tuple[int, int]]:
        """Place among the points and number of those of a kind that are drawn, in the order given."""
        if self.points is None:
            return []
        at = self.points.of_kind(kind)
        place = dict(zip(self.points.numbers[at].tolist(), at.tolist(), strict=True))
        return [(place[number], number) for number in numbers if number in place]

    def ranked(self, units: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        """The n items that some units rank first, with what a token that takes one of them adds on average, see `CodeLists.ranked`."""
        has = np.isin(self.units.of(self.whole.units), units)
        return self.lists.ranked(self.whole.units[has], self.whole.tokens[has], n)


class CodeSpaces:
    """Makes code spaces and their layouts, and keeps them: layouts in memory and in a folder. Safe to share between threads.

    `jobs` has the lanes `SPACES` and `MAPPING`.
    """

    def __init__(self, split: Split, jobs: Jobs, store: PlaneStore) -> None:
        self._split, self._jobs, self._store = split, jobs, store
        self._uses: ByteCache[ModelUse] = ByteCache(_USES_BYTES, lambda use: use.n_bytes)
        self._spaces: ByteCache[CodeSpace] = ByteCache(_SPACES_BYTES, lambda space: space.n_bytes)
        self._planes: ByteCache[np.ndarray] = ByteCache(_PLANES_BYTES, lambda plane: plane.nbytes)

    def space(
        self, measured: MeasuredIndex, wanted: SpaceWanted, owner: str, seconds: float
    ) -> tuple[CodeSpace | None, JobSnapshot | None]:
        """The code space of a model, made in the background if it is not known, and the job that makes it.

        Waits at most so many seconds. One that failed is not made again before `retry`.
        """
        version = f"{measured.version}/{wanted.book}/{wanted.n_points}"
        known, key = self._spaces.get(version), f"space/{version}"
        if known is not None:
            return known, None
        job = self._jobs.get(key)
        if job is None or job.state is not JobState.FAILED:
            job = self._jobs.submit(key, "the code space", lambda handle: self._make(measured, wanted, version, handle), owner, SPACES)
            job = self._jobs.wait(key, lambda job: False, seconds)
        return self._spaces.get(version), job

    def retry(self, job: JobSnapshot) -> None:
        """Let the next look make again what failed or was cancelled."""
        self._jobs.forget(job.key)

    def umap(self, space: CodeSpace) -> np.ndarray | None:
        """The points' places by UMAP, (N, 2) float32; None where they are not known yet."""
        if space.points is None:
            return None
        plane = self._planes.get(space.key)
        if plane is None and (plane := self._store.get(space.key, len(space.pca))) is not None:
            self._planes.put(space.key, plane)
        return plane

    def umap_job(self, space: CodeSpace) -> JobSnapshot | None:
        """The job that lays the points out; None if there never was one."""
        return self._jobs.get(self.umap_key(space))

    def start_umap(self, space: CodeSpace, owner: str) -> JobSnapshot:
        """Lay the points out in the background, in a process of its own, or join the work under way. Publishes `UmapProgress`."""
        label = f"UMAP of {len(space.pca):,} points"
        return self._jobs.submit(self.umap_key(space), label, lambda handle: self._lay_out(space, handle), owner, MAPPING)

    def cancel_umap(self, space: CodeSpace, owner: str) -> None:
        """Stop it for this owner; it goes on for other owners."""
        self._jobs.cancel(self.umap_key(space), owner)

    def umap_key(self, space: CodeSpace) -> str:
        """Key of the job that lays the points out."""
        return f"umap/{space.key}"

    def _make(self, measured: MeasuredIndex, wanted: SpaceWanted, version: str, handle: JobHandle) -> None:
        model = measured.explorer.model
        made = self._uses.get(measured.version)
        if made is None:
            lists = code_lists(measured.explorer.index, measured.explorer.default_threshold, model.first_list_code)
            made = ModelUse(code_use(model, self._split.train), lists)
            self._uses.put(measured.version, made)
        handle.check()
        units = code_units(*model.codebooks, wanted.book)
        points, why_none = None, ""
        try:
            used = made.use.units, made.use.tokens
            points = space_points(model, made.lists, units, used, self._split.train, wanted.n_points, SEED)
        except ValueError as error:
            why_none = str(error)
        handle.check()
        pca = principal_plane(np.zeros((0, 2)) if points is None else points.vectors)
        self._spaces.put(version, CodeSpace(version, units, made.use.by(units), made.use, made.lists, points, pca, why_none))

    def _lay_out(self, space: CodeSpace, handle: JobHandle) -> None:
        plane = umap_plane(space.points.vectors, UMAP, handle.publish, handle.check)
        self._planes.put(space.key, plane)
        self._store.put(space.key, plane)
