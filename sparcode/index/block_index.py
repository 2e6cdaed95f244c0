"""Compact posting lists in blocks of items: 6 bytes per posting with float32 scores, 4 with quantized ones, besides the tables.

Places within a block take two bytes. A list stores its highest score in every block: a search adds up the most promising blocks first
and skips those that cannot change its result. Small blocks hold similar items, so that more can be skipped; then items stand in an order of
their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from sparcode.data.contiguous import contiguous
from sparcode.data.interactions import offsets
from sparcode.index import build_kernels, kernels
from sparcode.index.inverted_index import InvertedIndex, lists_of_codes
from sparcode.index.item_order import similar_order
from sparcode.index.search_arrays import Blocks

ScoreType = Literal["float32", "uint16"]
MAX_SHIFT = 16
LEAST_SHIFT = 7
# Where lists hold at least this share of the catalogue, small blocks of similar items are faster, since more of them can be skipped. Below
# it, blocks are as large as their ids allow. Measured by `benchmarks/retrieval.py`.
SMALL_BLOCKS_FROM = 0.004
# With fewer blocks there is too little to skip.
LEAST_BLOCKS = 500
# Small blocks hold at least so many postings of a list; else their tables would be as large as the postings.
SEGMENT_POSTINGS = 3
_LEVELS = 2**16 - 1


BLOCK_ARRAYS = ("codes", *Blocks._fields)


def n_blocks_of(n_items: int, shift: int) -> int:
    """Blocks of a catalogue, at least 1."""
    return max(1, -(-n_items // (1 << shift)))


@dataclass(frozen=True, eq=False)
class BlockIndex:
    """Posting lists in blocks of ``2**shift`` items, made by `block_index`; arrays as in `sparcode.index.search_arrays.Blocks`.

    Attributes
    ----------
    codes
        (n_lists,) int64, ascending: the code of each list.
    floor
        The lowest threshold it can serve, exact in float32.
    per_list
        Most postings of a list; 0: not limited.
    """

    codes: np.ndarray
    indptr: np.ndarray
    segments: np.ndarray
    tops: np.ndarray
    offsets: np.ndarray
    scores: np.ndarray
    low: np.ndarray
    step: np.ndarray
    item_ids: np.ndarray
    n_items: int
    floor: float
    shift: int
    per_list: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.shift <= MAX_SHIFT:
            raise ValueError(f"shift must lie in [1, {MAX_SHIFT}]; got {self.shift}")
        if not 0 <= self.n_items <= np.iinfo(np.int32).max:
            raise ValueError(f"n_items must lie in [0, {np.iinfo(np.int32).max}]; got {self.n_items}")
        if not np.isfinite(self.floor):
            raise ValueError(f"floor must be a finite number; got {self.floor}")
        if self.per_list < 0:
            raise ValueError(f"per_list must not be negative; got {self.per_list}")
        sizes = (len(self.codes), len(self.offsets), self.n_items, self.shift)
        for name, (dtype, shape) in self.expected(*sizes, self.score_type, len(self.item_ids) > 0).items():
            array = getattr(self, name)
            if array.dtype != dtype or array.shape != shape:
                raise ValueError(
                    f"{name} must have shape {shape} and dtype {np.dtype(dtype).name}; got shape {array.shape}, dtype {array.dtype}"
                )
            object.__setattr__(self, name, contiguous(array, dtype))
        if self.n_lists and (self.codes[0] < 0 or np.any(np.diff(self.codes) <= 0)):
            raise ValueError("codes must not be negative, and ascend without repeats")
        if self.indptr[0] != 0 or self.indptr[-1] != len(self.offsets) or np.any(np.diff(self.indptr) < 0):
            raise ValueError("indptr must run from 0 to the number of postings and not decrease")

    @staticmethod
    def expected(
        n_lists: int, n_postings: int, n_items: int, shift: int, score_type: str, is_reordered: bool
    ) -> dict[str, tuple[type, tuple[int, ...]]]:
        """Dtype and shape of every array, by name; ValueError if the score type is neither float32 nor uint16."""
        if score_type not in get_args(ScoreType):
            raise ValueError(f"scores must be {' or '.join(get_args(ScoreType))}; got {score_type}")
        n_blocks, scores = n_blocks_of(n_items, shift), np.dtype(score_type).type
        return {
            "codes": (np.int64, (n_lists,)),
            "indptr": (np.int64, (n_lists + 1,)),
            "segments": (np.uint32, (n_lists, n_blocks + 1)),
            "tops": (scores, (n_lists, n_blocks)),
            "offsets": (np.uint16, (n_postings,)),
            "scores": (scores, (n_postings,)),
            "low": (np.float32, (n_lists,)),
            "step": (np.float32, (n_lists,)),
            "item_ids": (np.int32, (n_items if is_reordered else 0,)),
        }

    @property
    def n_lists(self) -> int:
        """Codes with a list (which may be empty)."""
        return len(self.codes)

    @property
    def score_type(self) -> str:
        """``"float32"`` or ``"uint16"``."""
        return self.scores.dtype.name

    @property
    def arrays(self) -> Blocks:
        """The arrays as the kernels take them."""
        return Blocks(self.indptr, self.segments, self.tops, self.offsets, self.scores, self.low, self.step, self.item_ids)

    def rows_of(self, codes: np.ndarray) -> np.ndarray:
        """List numbers of codes, int64 of the same shape; -1 for a code without a list."""
        return lists_of_codes(self.codes, codes)[0]

    def posting_list(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """A list as `InvertedIndex` has it: item ids (n,) int32 and scores (n,) float32, by descending score, ties by ascending id."""
        part = slice(self.indptr[number], self.indptr[number + 1])
        blocks = np.repeat(np.arange(self.tops.shape[1], dtype=np.int64), np.diff(self.segments[number].astype(np.int64)))
        item_ids = ((blocks << self.shift) + self.offsets[part]).astype(np.int32)
        if len(self.item_ids):
            item_ids = self.item_ids[item_ids]
        scores = self.low[number] + self.step[number] * self.scores[part].astype(np.float32)
        order = np.lexsort((item_ids, -scores))
        return item_ids[order], scores[order]

    def size_bytes(self) -> dict[str, int]:
        """Bytes by part: item ids and scores of the postings, and the tables of lists and of blocks."""
        return _parts({name: getattr(self, name).nbytes for name in BLOCK_ARRAYS})

    def check_postings(self) -> None:
        """Check every posting, since searches do not check bounds; ValueError names the first list with a wrong one."""
        if not (np.isfinite(self.low).all() and np.isfinite(self.step).all() and (self.step >= 0).all()):
            raise ValueError("low and step must be finite numbers, step not negative")
        if self.score_type == "float32" and (self.low.any() or np.any(self.step != 1)):
            raise ValueError("low must be 0 and step 1 for scores in float32")
        with np.errstate(over="ignore"):
            if self.score_type == "uint16" and not np.isfinite(self.low + self.step * np.float32(_LEVELS)).all():
                raise ValueError("low and step must not lead beyond the numbers of float32")
        if len(self.item_ids) and not np.array_equal(np.sort(self.item_ids), np.arange(self.n_items)):
            raise ValueError(f"item_ids must hold every item below {self.n_items} once")
        postings = (self.indptr, self.segments, self.tops, self.offsets, self.scores)
        number = build_kernels.first_wrong_list(*postings, self.n_items, self.shift)
        if number >= 0:
            raise ValueError(f"list {number} {self._what_is_wrong(number)}")
        lengths = np.diff(self.indptr)
        if self.per_list and lengths.max(initial=0) > self.per_list:
            raise ValueError(f"no list must be longer than per_list {self.per_list}; got {lengths.max()}")
        lowest = self.low[lengths > 0] if self.score_type == "uint16" else self.scores
        with np.errstate(over="ignore"):
            is_exact = float(np.float32(self.floor)) == self.floor
        if not is_exact or (len(lowest) and not lowest.min() > self.floor):
            raise ValueError(f"floor must be below every score, and exact in float32; got {self.floor}")

    def _what_is_wrong(self, number: int) -> str:
        """Which rule of `build_kernels.first_wrong_list` a list breaks."""
        segments, part = self.segments[number].astype(np.int64), slice(self.indptr[number], self.indptr[number + 1])
        if segments[0] != 0 or segments[-1] != part.stop - part.start:
            return f"must have segments from 0 to its length {part.stop - part.start}; got {segments[0]} to {segments[-1]}"
        if np.any(np.diff(segments) < 0):
            return "must have segments that do not decrease"
        if not np.isfinite(self.tops[number]).all() or not np.isfinite(self.scores[part]).all():
            return "must have finite scores"
        blocks = np.repeat(np.arange(len(segments) - 1), np.diff(segments))
        highest = int(((blocks << self.shift) + self.offsets[part]).max(initial=-1))
        if highest >= self.n_items or (self.offsets[part].astype(np.int64) >> self.shift).any():
            return f"must have item ids below {self.n_items}, each in its block of {1 << self.shift}; got offset {self.offsets[part].max()}"
        return "must have scores that descend in every block, from its top on"


_TABLES = {"offsets": "item_ids", "scores": "scores", "segments": "blocks", "tops": "blocks", "item_ids": "blocks"}


def shift_for(n_items: int, n_lists: int, n_postings: int) -> int:
    """The block size for lists of this length: as large as possible, or small where lists hold much of the catalogue.

    Not small either where there are fewer postings than items, for the order of the items would take as much room as they.
    """
    density = n_postings / max(1, n_lists * n_items)
    if density < SMALL_BLOCKS_FROM or n_postings < n_items:
        return MAX_SHIFT
    shift = max(LEAST_SHIFT, int(np.ceil(np.log2(SEGMENT_POSTINGS / density))))
    return shift if n_blocks_of(n_items, shift) >= LEAST_BLOCKS else MAX_SHIFT


def block_bytes(n_items: int, n_lists: int, n_postings: int, score_type: ScoreType, shift: int | None = None) -> dict[str, int]:
    """Bytes by part of a `BlockIndex` with so many lists and postings."""
    shift = shift_for(n_items, n_lists, n_postings) if shift is None else shift
    expected = BlockIndex.expected(n_lists, n_postings, n_items, shift, score_type, shift < MAX_SHIFT)
    return _parts({name: int(np.prod(shape)) * np.dtype(dtype).itemsize for name, (dtype, shape) in expected.items()})


def block_index(
    index: InvertedIndex,
    threshold: float,
    score_type: ScoreType = "float32",
    per_list: int = 0,
    shift: int | None = None,
    item_ids: np.ndarray | None = None,
) -> BlockIndex:
    """Cut the lists of an index at a threshold and arrange the rest by blocks of items.

    Parameters
    ----------
    threshold
        Only scores above it are stored; at least the index's floor. It becomes the floor of the result.
    score_type
        ``"uint16"`` rounds scores to 65,536 even steps between the lowest and the highest of their list, so each is off
        by at most half a step and float32 rounding.
    per_list
        Postings per list at most; 0: no limit.
    shift
        Blocks have ``2**shift`` items; None: `shift_for`.
    item_ids
        (I,) int32, the order in which blocks hold the items (empty: their own); None: `similar_order` for all but the largest blocks.

    Raises
    ------
    ValueError
        If the threshold is below the floor or not finite, the score type is unknown, or float32 cannot represent the quantization.
    """
    if not np.isfinite(threshold):
        raise ValueError(f"threshold must be a finite number; got {threshold}")
    ends = index.threshold_ends(threshold, per_list)
    indptr = offsets(ends - index.indptr[:-1])
    shift = shift_for(index.n_items, index.n_lists, int(indptr[-1])) if shift is None else shift
    if item_ids is None:
        item_ids = np.zeros(0, dtype=np.int32) if shift == MAX_SHIFT else similar_order(index, ends, threshold, 1 << shift)
    sizes = (index.n_lists, int(indptr[-1]), index.n_items, shift)
    expected = BlockIndex.expected(*sizes, score_type, len(item_ids) > 0)
    arrays = {name: np.zeros(shape, dtype=dtype) for name, (dtype, shape) in expected.items()}
    arrays["codes"][:], arrays["indptr"][:], arrays["step"][:] = index.codes, indptr, score_type == "float32"
    arrays["item_ids"] = item_ids
    places = np.argsort(item_ids).astype(np.int32)
    for number in range(index.n_lists):
        own_items, scores = (part[index.indptr[number] : ends[number]] for part in (index.item_ids, index.scores))
        if score_type == "uint16" and len(scores):
            arrays["low"][number], arrays["step"][number], scores = _quantized(scores, int(index.codes[number]))
        stored = scores.astype(arrays["scores"].dtype)
        lowest = stored[-1] if len(stored) else stored.dtype.type(0)
        part = slice(indptr[number], indptr[number + 1])
        own = (arrays["segments"][number], arrays["tops"][number], arrays["offsets"][part], arrays["scores"][part])
        kernels.block_list(places[own_items] if len(places) else own_items, stored, shift, lowest, *own)
    return BlockIndex(**arrays, n_items=index.n_items, floor=float(np.float32(threshold)), shift=shift, per_list=per_list)


def _quantized(scores: np.ndarray, code: int) -> tuple[np.float32, np.float32, np.ndarray]:
    """Lowest score, step and levels of one list: (n,) descending float32 -> float32, float32, (n,) uint16."""
    low, exact = scores[-1], (np.float64(scores[0]) - np.float64(scores[-1])) / _LEVELS
    step = np.float32(exact)
    if step < exact:
        # Rounded up, for a step too short would not reach the highest score; that counts where steps are denormal.
        step = np.nextafter(step, np.float32(np.inf))
    with np.errstate(over="ignore"):
        reaches = np.isfinite(step * np.float32(_LEVELS)) and np.isfinite(low + step * np.float32(_LEVELS))
    if not reaches:
        raise ValueError(f"scores of code {code} run from {low:.6g} to {scores[0]:.6g}, too far apart to be quantized; use float32 scores")
    if step == 0:
        return low, step, np.zeros(len(scores), dtype=np.uint16)
    return low, step, np.rint((scores.astype(np.float64) - np.float64(low)) / np.float64(step)).astype(np.uint16)


def _parts(of_arrays: dict[str, int]) -> dict[str, int]:
    parts: dict[str, int] = {}
    for name, n_bytes in of_arrays.items():
        part = _TABLES.get(name, "lists")
        parts[part] = parts.get(part, 0) + n_bytes
    return parts
