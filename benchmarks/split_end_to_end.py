"""A ready-made split, from history to items: SparCode through its index beside two-tower's exact and HNSW search.

Settings of the searches are chosen on the validation users: of HNSW the fastest within 0.1% of the exact recall; of SparCode the fastest
layout and cut within 1% of its recall with all postings and not below exact two-tower search. SparCode is also served as short as the
comparison allows: the fastest setting ahead of exact two-tower search by a standard error. As it is served it knows the validation users'
targets, so choices are made with a copy whose counts leave them out (`benchmarks.trained_models.SplitModels`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.command import set_threads
from benchmarks.fixed_split import K
from benchmarks.pareto_plot import ServedPoint, fastest, latency
from benchmarks.served_points import measure, ratios, table
from benchmarks.trained_models import split_models
from sparcode.comparison.measuring import at_settings
from sparcode.comparison.pareto import pareto_front
from sparcode.comparison.peers import FLAT, HNSW, SPARCODE, PeerAtSetting, Sweep, named, of_codes
from sparcode.comparison.training import Models, Trained
from sparcode.config import PostingsKind, RunConfig
from sparcode.data.evaluation_protocol import FIXED_SPLIT
from sparcode.data.fixed_split import read_fixed_split
from sparcode.data.interactions import Interactions
from sparcode.data.split import Split
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.pruning import Cut, threshold_for_postings
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.runs.machine import machine_facts
from sparcode.training.pipeline import build_run_index, serve
from sparcode.training.recommended import recommended

SHORTEST = "SparCode (index), shortest lists"
LAYOUTS: tuple[PostingsKind, ...] = ("float32", "blocked", "quantized")
# Shares of what the index stores, and most postings of a list.
SHARES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.15, 0.1)
LENGTHS = (400, 200, 100, 50, 25)
WITHIN = 0.999
KEEPS_RECALL = 0.99
SWEEP = Sweep(ef_search=(16, 64, 96, 128, 192, 256, 512), exclude=("ask_more", "selector"), k=K)
# Test users timed, at most; recall is that of all.
TIMED = 2_000
QUICK_TRAINING = {"epochs": 3, "joint_epochs": 2}


class SplitCase(NamedTuple):
    """A ready-made split with the settings recommended for it, and why they are; an empty reason: they are the defaults."""

    data: Interactions
    split: Split
    config: RunConfig
    reason: str


class SplitTiming(NamedTuple):
    """Threads of all searches, validation queries timed of each setting, and rounds of them."""

    n_threads: int = 1
    n_queries: int = 200
    rounds: int = 3


class Served(NamedTuple):
    """How an index is served: layout, share of the stored postings above the threshold, most postings of a list (0: all)."""

    layout: PostingsKind
    share: float = 1.0
    per_list: int = 0

    def __str__(self) -> str:
        cut = f"at most {self.per_list} a list" if self.per_list else f"{100 * self.share:.3g}% of stored postings"
        return f"{self.layout}, {cut}"

    def cut(self, index: InvertedIndex) -> Cut:
        """Where it cuts an index."""
        return Cut(threshold_for_postings(index, round(self.share * len(index.item_ids))), self.per_list)


SETTINGS = tuple(
    one
    for layout in LAYOUTS
    for one in (*(Served(layout, share) for share in SHARES), *(Served(layout, per_list=length) for length in LENGTHS))
)


def read_case(train: Path, test: Path, seed: int, quick: bool = False) -> SplitCase:
    """Read two files; settings as in `benchmarks.fixed_split`."""
    training = {"seed": seed, **(QUICK_TRAINING if quick else {})}
    values = {"split": {"seed": seed, "protocol": FIXED_SPLIT.name}, "training": training}
    base = RunConfig.for_data(False, RunConfig.model_validate(values), FIXED_SPLIT.name)
    data, split = read_fixed_split(train, test, base.split)
    return SplitCase(data, split, *recommended(split, base, {}))


def sparcode_at(model: SparCodeModel, case: SplitCase, wanted: Iterable[tuple[str, Served]], n_threads: int = 1) -> Iterator[PeerAtSetting]:
    """SparCode at settings, each under a name."""
    config = case.config.index
    index = build_run_index(model, case.split.train_queries, config)
    for name, served in wanted:
        retriever = serve(model, index, config.model_copy(update={"postings": served.layout}), served.cut(index), n_threads)
        yield PeerAtSetting(name, str(served), retriever, of_codes(model, retriever, K))


def best_on_validation(points: list[ServedPoint]) -> dict[str, ServedPoint]:
    """The setting of every kind that the test users meet, by the rule at the top of this file."""
    exact = next(point for point in points if point.name == FLAT)
    whole = next(point for point in points if (point.name, point.setting) == (SPARCODE, str(Served("float32"))))
    return {
        FLAT: exact,
        HNSW: fastest(points, HNSW, WITHIN * exact.recall),
        SPARCODE: fastest(points, SPARCODE, max(KEEPS_RECALL * whole.recall, exact.recall)),
        SHORTEST: fastest(points, SPARCODE, exact.recall, errors=1.0)._replace(name=SHORTEST),
    }


def serve_split(case: SplitCase, keep: Path | None, timing: SplitTiming) -> dict[str, float]:
    """Train or load, choose settings on the validation users, measure them on the test users; prints tables and returns ratios."""
    set_threads(timing.n_threads)
    split, seed = case.split, case.config.training.seed
    found = split_models(case.data, split, case.config, keep)
    print(f"{case.data!r}, {machine_facts()}; {case.reason or 'default settings'}")
    print(f"{len(split.validation.users)} validation users, {len(split.test.users)} test users\n")
    models = Models(split, case.config, given={"two-tower": Trained(found.two_tower)})
    sweep = SWEEP._replace(asked=split.validation.queries, n_threads=timing.n_threads)
    # Exact search takes so long that few queries are timed.
    vectors = [peer._replace(slow=peer.name == FLAT) for peer in at_settings(named(FLAT, HNSW), models, sweep)[0]]
    own = list(sparcode_at(found.choosing, case, ((SPARCODE, one) for one in SETTINGS), timing.n_threads))
    points = measure([*vectors, *own], split.validation, timing.n_queries, timing.rounds, seed, K)
    fronts = [point for name in (FLAT, HNSW, SPARCODE) for point in pareto_front((one for one in points if one.name == name), latency)]
    _tell("Validation users, all settings that no other of their kind beats", fronts)
    best = best_on_validation(points)
    _tell("Chosen on validation users", list(best.values()))
    chosen = [peer for peer in vectors if best[peer.name].setting == peer.setting]
    by_words = {str(one): one for one in SETTINGS}
    wanted = [(name, by_words[best[name].setting]) for name in (SPARCODE, SHORTEST)]
    chosen += sparcode_at(found.sparcode, case, wanted, timing.n_threads)
    tested = {point.name: point for point in measure(chosen, split.test, TIMED, 3 * timing.rounds, seed + 1, K)}
    _tell("The same on the test users", list(tested.values()))
    shortest = {f"shortest_{name}": value for name, value in ratios(tested, SHORTEST).items()}
    return {**ratios(tested), "recall_at_20": tested[SPARCODE].recall, **shortest}


def _tell(title: str, points: list[ServedPoint]) -> None:
    print(f"{title}:\n\n" + "\n".join(table(points, K)) + "\n", flush=True)
