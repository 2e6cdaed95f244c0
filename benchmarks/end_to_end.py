"""From history to items, query encoding included: all ways to serve two-tower and SparCode beside each other.

    python -m benchmarks.end_to_end --data ml-1m.zip --settings benchmarks/settings/ml-1m.json --out plots --keep trained

Trains two-tower and, from one backbone, SparCode with several numbers of nearest codes, and serves each with every retriever at many
settings. Recall is measured against the targets. Single queries are timed, the retrievers in turn; a query's time is its median over
rounds. The best setting of each kind is chosen on the validation users, by recall and speed; the ratios are measured on all test users, so
the choice cannot favour either. Best for two-tower: the fastest setting within 0.1% of the exact Recall@50. Best for SparCode: the fastest
ahead of the exact Recall@50 by at least one standard error of the difference. Where no setting reaches that, the most accurate one is
taken. Plots of the validation pass go to --out.

    python -m benchmarks.end_to_end --train train.parquet --test test.parquet --keep trained

The same for a ready-made split by the settings recommended for it: two-tower by exact and HNSW search beside SparCode; see
`benchmarks.split_end_to_end`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.command import Data, Keep, Quick, Rounds, Seed, Settings, print_figures, run_command, set_threads, settings_of
from benchmarks.csr_search import CsrRetriever
from benchmarks.pareto_plot import CSR, DIRECT, ServedPoint, fastest, latency, write_pareto
from benchmarks.quality import QUICK, settings
from benchmarks.served_points import measure, ratios, table
from benchmarks.split_end_to_end import SplitTiming, read_case, serve_split
from benchmarks.trained_models import TrainedModels, trained_models
from sparcode.commands.process import keep_freed_memory
from sparcode.comparison.measuring import at_settings
from sparcode.comparison.pareto import pareto_front
from sparcode.comparison.peers import (
    ALL_TO_ALL,
    COOCCURRENCE,
    EASE_NAME,
    FLAT,
    HNSW,
    IVF_FLAT,
    IVF_PQ,
    SPARCODE,
    PeerAtSetting,
    SparCode,
    Sweep,
    named,
    of_codes,
    whole,
)
from sparcode.comparison.training import Models, Trained
from sparcode.config import DEFAULT_K, RunConfig
from sparcode.data.interactions import Interactions
from sparcode.data.loading import load
from sparcode.data.split import Split, split_users
from sparcode.data.synthetic import generate
from sparcode.index.pruning import KeepDensity
from sparcode.retrieval.exact import ExactRetriever, SparseDirectScorer
from sparcode.runs.machine import machine_facts

VECTORS = (FLAT, HNSW, IVF_FLAT, IVF_PQ)
NAMES = (*VECTORS, SPARCODE, CSR, DIRECT, ALL_TO_ALL, EASE_NAME, COOCCURRENCE)
EXCLUDE = ("ask_more", "selector")
FULL_SWEEP = Sweep(ef_search=(16, 64, 96, 128, 192, 256, 512), exclude=EXCLUDE, k_factor=(0.0, 2.0, 4.0))
QUICK_SWEEP = Sweep(
    densities=(0.2, 0.05), links=(16,), ef_search=(16, 128), n_lists=(0,), n_probe=(4, 16), exclude=EXCLUDE, k_factor=(0.0, 2.0)
)
NEAREST = (1, 2, 4, 8)
WITHIN = 0.999
SMALL = {"quantizer": {"codebook_size": 64}, "training": {"epochs": 12, "joint_epochs": 4}}


class SparCodeBeside(SparCode):
    """SparCode through its index, each setting followed by SciPy's product of the same lists; and scored without an index."""

    def at_settings(self, trained: Trained, models: Models, sweep: Sweep) -> Iterator[PeerAtSetting]:
        """See `Peer.at_settings`."""
        model, index, unseen = trained.model, models.get("index").model, models.config.index.unseen
        for density, peer in zip(sweep.densities, super().at_settings(trained, models, sweep), strict=True):
            yield peer
            product = CsrRetriever(model, index, KeepDensity(density, model.first_list_code).threshold(index), unseen)
            yield PeerAtSetting(CSR, peer.setting, product, of_codes(model, product))
        threshold = KeepDensity(sweep.densities[0], model.first_list_code).threshold(index)
        network = {"interaction network": sum(value.nbytes for value in model.backbone.interaction.state_dict().values())}
        direct = ExactRetriever(SparseDirectScorer(model, threshold), network)
        yield PeerAtSetting(DIRECT, f"{100 * sweep.densities[0]:.3g}% of scores", direct, whole(direct), slow=True)


def peers(found: TrainedModels, split: Split, config: RunConfig, sweep: Sweep) -> list[PeerAtSetting]:
    """Everything that is compared, at every setting of the sweep."""
    given = {"two-tower": Trained(found.two_tower), "backbone": Trained(found.backbone)}
    sweep = sweep._replace(asked=split.validation.queries)
    ready = at_settings(named(*VECTORS), Models(split, config, given=given), sweep)[0]
    for nearest, model in found.sparcode.items():
        models = Models(split, config, given={**given, "sparcode": Trained(model)})
        ready += [peer._replace(setting=f"P = {nearest}, {peer.setting}") for peer in at_settings([SparCodeBeside()], models, sweep)[0]]
    return ready + at_settings(named(ALL_TO_ALL, EASE_NAME, COOCCURRENCE), models, sweep)[0]


def best_of_peers(points: list[ServedPoint]) -> dict[str, ServedPoint]:
    """The setting of every peer that the test users meet, chosen from validation points by the rule at the top of this file."""
    exact = next(point.recall for point in points if point.name == FLAT)
    best = {name: fastest(points, name, WITHIN * exact) for name in VECTORS}
    best[SPARCODE] = fastest(points, SPARCODE, exact, errors=1.0)
    best[CSR] = next(point for point in points if (point.name, point.setting) == (CSR, best[SPARCODE].setting))
    return best


def main(
    data: Data = None,
    train: Annotated[Path | None, typer.Option(help="Training pairs of a ready-made split, instead of --data.")] = None,
    test: Annotated[Path | None, typer.Option(help="Its test pairs.")] = None,
    seed: Seed = 0,
    threads: Annotated[list[int] | None, typer.Option(min=1, help="May be repeated; by default 1. The ratios are the first one's.")] = None,
    encoder: Annotated[str, typer.Option(help="mean, gru or sasrec.")] = "mean",
    settings_file: Settings = None,
    nearest: Annotated[
        list[int] | None, typer.Option(min=1, help="Nearest codes per token; may be repeated, by default 1, 2, 4, 8.")
    ] = None,
    keep: Keep = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the plots and all points as JSON.")] = None,
    rounds: Rounds = 3,
    timed: Annotated[int, typer.Option(min=1, help="Validation queries timed of each setting.")] = 200,
    quick: Quick = False,
) -> None:
    """Train or load, measure, print tables and ratios, draw."""
    keep_freed_memory()
    if train is not None or test is not None:
        if train is None or test is None or data is not None or settings_file is not None or nearest:
            raise typer.BadParameter("--train and --test come together, without --data, --settings and --nearest")
        case = read_case(train, test, seed, quick)
        figures = [serve_split(case, keep, SplitTiming(n_threads, timed, rounds)) for n_threads in threads or [1]]
        print_figures(figures[0])
        return
    source = generate(QUICK) if quick else load(data)
    of_all, of_two_tower = settings_of(settings_file, encoder)
    extra = SMALL if quick else {}
    config = settings(source, encoder, None, seed, of_all, extra)
    two_tower_config = settings(source, encoder, None, seed, of_all, of_two_tower, extra)
    split = split_users(source, config.split)
    chosen = tuple(nearest or ((1, 4) if quick else NEAREST))
    models = trained_models(source, split, config, two_tower_config, chosen, keep)
    headline: dict[str, float] | None = None
    for n_threads in threads or [1]:
        set_threads(n_threads)
        found = peers(models, split, config, (QUICK_SWEEP if quick else FULL_SWEEP)._replace(n_threads=n_threads))
        print(f"{source!r}, {machine_facts()}; encoder {encoder}, seed {seed}")
        print(f"{len(split.validation.users)} validation users, {len(split.test.users)} test users\n")
        points, best = chosen_and_tested(found, split, timed, rounds, seed)
        headline = headline or ratios(best)
        if out is not None:
            _write(points, source, config, out / f"threads-{n_threads}")
    print_figures(headline)


def chosen_and_tested(
    found: list[PeerAtSetting], split: Split, timed: int, rounds: int, seed: int
) -> tuple[list[ServedPoint], dict[str, ServedPoint]]:
    """All settings on validation users, printed as far as nothing of their kind beats them; then the chosen of each kind on test users."""
    points = measure(found, split.validation, timed, rounds, seed)
    fronts = [point for name in NAMES for point in pareto_front((one for one in points if one.name == name), latency)]
    print("Validation users, all settings that no other of their kind beats:\n\n" + "\n".join(table(fronts)) + "\n")
    best = best_of_peers(points)
    wanted = {(point.name, point.setting) for point in best.values()}
    print("Chosen on validation users:\n\n" + "\n".join(table(list(best.values()))) + "\n", flush=True)
    chosen = [peer for peer in found if (peer.name, peer.setting) in wanted]
    tested = measure(chosen, split.test, len(split.test.queries), 3 * rounds, seed + 1)
    print("The same on all test users:\n\n" + "\n".join(table(tested)) + "\n")
    return points, {point.name: point for point in tested}


def _write(points: list[ServedPoint], source: Interactions, config: RunConfig, folder: Path) -> None:
    title = f"{source.name}, {source.n_items:,} items, encoder {config.model.encoder}<br>{machine_facts()}"
    page, picture = write_pareto(points, title, folder, DEFAULT_K)
    (folder / "points.json").write_text(json.dumps([point._asdict() for point in points], indent=1))
    note = "the picture is left out, for there is no Chromium or no Playwright" if picture is None else str(picture)
    print(f"plots: {page}, {note}", file=sys.stderr)


if __name__ == "__main__":
    run_command(main)
