"""SparCode through its index beside all its peers: one data set, several encoders, interactions and seeds.

    python -m benchmarks.quality --data ml-1m.zip --seeds 5 --encoder mean --encoder gru --encoder sasrec

A seed sets the split and the training of every model. `benchmarks/settings` holds settings chosen on validation users, one file per data
set, with two-tower's own where others suit it better. --results keeps what was measured, so that a run can be continued. The last line
holds ratios of mean Recall@50, SparCode's over its peer's: the lowest over the encoders and interactions that were run.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.command import Data, Quick, Seeds, Settings, print_figures, run_command
from sparcode.commands.process import keep_freed_memory
from sparcode.comparison.peers import ALL_TO_ALL, COOCCURRENCE, EASE_NAME, MODELS, SPARCODE, TWO_TOWER
from sparcode.comparison.run import compare
from sparcode.config import DEFAULT_K, RunConfig, SyntheticConfig
from sparcode.data.interactions import Interactions
from sparcode.data.loading import load
from sparcode.data.synthetic import generate
from sparcode.runs.machine import machine_facts

ENCODERS, INTERACTIONS = ("mean", "gru", "sasrec"), ("dot", "mlp", "cross", "attention")
QUICK = SyntheticConfig(n_users=600, n_items=300)
# One codebook of 512 codewords; sequence encoders are narrower, for their steps cost more.
SETTINGS = {"n_codebooks": 1, "codebook_size": 512}
SEQUENCE_WIDTH = 128


def settings(data: Interactions, encoder: str, interaction: str | None, seed: int, *overrides: dict[str, dict]) -> RunConfig:
    """Settings of one training: defaults for the data, then the overrides (the last one wins), then the interaction."""
    model = {"encoder": encoder} if encoder == "mean" else {"encoder": encoder, "hidden_dim": SEQUENCE_WIDTH}
    values = {"split": {"seed": seed}, "model": model, "quantizer": SETTINGS, "training": {"seed": seed}}
    for override in overrides:
        for stage, fields in override.items():
            values[stage] = values.get(stage, {}) | fields
    if interaction is not None:
        values["model"] = values["model"] | {"interaction": interaction}
    return RunConfig.for_data(data.synthetic, RunConfig.model_validate(values))


def measure(data: Interactions, config: RunConfig, two_tower_config: RunConfig) -> dict:
    """Train and measure all models once."""
    started = time.perf_counter()
    comparison = compare(data, config, two_tower_config=two_tower_config)
    return {
        "recall": {row.name: row.recall for row in comparison.rows},
        "ndcg": {row.name: row.ndcg for row in comparison.rows},
        "density": comparison.density,
        "direct_recall": comparison.check.direct,
        "seconds": time.perf_counter() - started,
    }


def table(results: list[dict]) -> list[str]:
    """Mean and standard deviation over seeds of Recall@50 and NDCG@50, per encoder and interaction."""
    lines = [
        "| encoder | interaction | model | Recall@50 | NDCG@50 | over two-tower | over all-to-all | seeds won against two-tower |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for part, found in parts(results).items():
        for model in (peer.name for peer in MODELS if peer.name in found[0]["recall"]):
            recall, ndcg = (np.array([result[metric][model] for result in found]) for metric in ("recall", "ndcg"))
            won = sum(result["recall"][model] > result["recall"][TWO_TOWER] for result in found)
            lines.append(
                f"| {part[0]} | {part[1]} | {model} | {recall.mean():.4f} ± {recall.std():.4f} | {ndcg.mean():.4f} ± {ndcg.std():.4f} | "
                f"{ratio(found, model, TWO_TOWER):.3f} | {ratio(found, model, ALL_TO_ALL):.3f} | {won} of {len(found)} |"
            )
    return lines


def parts(results: Iterable[dict]) -> dict[tuple[str, str], list[dict]]:
    """Results by encoder and interaction."""
    found: dict[tuple[str, str], list[dict]] = {}
    for result in results:
        found.setdefault((result["encoder"], result["interaction"]), []).append(result)
    return found


def ratio(results: list[dict], model: str, peer: str) -> float:
    """Ratio of mean recalls; NaN where the peer has none."""
    if any(peer not in result["recall"] for result in results):
        return float("nan")
    return float(np.mean([result["recall"][model] for result in results]) / np.mean([result["recall"][peer] for result in results]))


def main(
    data: Data = None,
    seeds: Seeds = 5,
    first_seed: Annotated[int, typer.Option(min=0)] = 0,
    encoder: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(ENCODERS)}; may be repeated.")] = None,
    interaction: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(INTERACTIONS)}; may be repeated.")] = None,
    settings_file: Settings = None,
    overrides: Annotated[str, typer.Option("--set", help='Settings as JSON, for instance {"training": {"epochs": 30}}.')] = "{}",
    results_file: Annotated[
        Path | None,
        typer.Option("--results", help="File that every result is added to; what it holds is not measured again.", metavar="FILE"),
    ] = None,
    quick: Quick = False,
) -> None:
    """Measure, print the table and the ratios."""
    keep_freed_memory()
    chosen = json.loads(overrides)
    tuned = {} if settings_file is None else json.loads(settings_file.read_text())
    encoders, interactions = encoder or list(tuned) or list(ENCODERS), interaction or [None]
    if quick:
        source, seeds, encoders = generate(QUICK), 1, encoder or ["mean", "sasrec"]
        small = {"quantizer": {"codebook_size": 64}, "training": {"epochs": 20, "joint_epochs": 6}}
        chosen = {stage: small.get(stage, {}) | chosen.get(stage, {}) for stage in small | chosen}
    else:
        source = load(data)
    earlier = results_file.read_text().splitlines() if results_file is not None and results_file.exists() else []
    done, results = {result["run"]: result for result in map(json.loads, earlier)}, []
    for seed in range(first_seed, first_seed + seeds):
        for one in encoders:
            for other in interactions:
                of_all, of_two_tower = (tuned.get(one, {}).get(models, {}) for models in ("all", "two_tower"))
                config = settings(source, one, other, seed, of_all, chosen)
                two_tower_config = settings(source, one, other, seed, of_all, of_two_tower, chosen)
                run = f"{source.content_hash()}-{config.content_hash()}-{two_tower_config.content_hash()}"
                if run in done:
                    results.append(done[run])
                    continue
                measured = measure(source, config, two_tower_config)
                result = {"run": run, "encoder": one, "interaction": config.model.interaction, "seed": seed, **measured}
                results.append(result)
                print(json.dumps(result), file=sys.stderr, flush=True)
                if results_file is not None:
                    with results_file.open("a") as lines:
                        lines.write(json.dumps(result) + "\n")
    ran = sorted({result["seed"] for result in results})
    print(f"{source!r}, {machine_facts()}; k = {DEFAULT_K}, seeds {ran}; settings {json.dumps(chosen)}")
    print(f"scores kept: {np.mean([result['density'] for result in results]):.1%}\n")
    print("\n".join(table(results)) + "\n")
    peers = {"recall_vs_two_tower": TWO_TOWER, "recall_vs_all_to_all": ALL_TO_ALL, "recall_vs_ease": EASE_NAME}
    peers["recall_vs_cooccurrence"] = COOCCURRENCE
    lowest = {name: min(ratio(found, SPARCODE, peer) for found in parts(results).values()) for name, peer in peers.items()}
    print_figures(lowest)


if __name__ == "__main__":
    run_command(main)
