"""One run with its table: SparCode and its peers trained on a data set and measured on the test users, ready to be saved."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from sparcode.comparison.measuring import Measurement, compare_peers
from sparcode.comparison.peers import MODELS
from sparcode.comparison.training import Models, Step, train_networks
from sparcode.config import DEFAULT_K, RunConfig
from sparcode.data.facts import DataFacts
from sparcode.data.interactions import Interactions
from sparcode.data.split import Split, split_users
from sparcode.device import Device, choose_device
from sparcode.metrics.evaluation import DirectCheck, direct_check
from sparcode.model.ranks import current
from sparcode.retrieval.contract import check_k
from sparcode.runs.machine import machine_facts
from sparcode.runs.store import Run
from sparcode.training.checkpoint import Checkpoint
from sparcode.training.epoch_record import never_stop
from sparcode.training.pipeline import OnEpoch, ShouldStop, check_side_features, ignore_record, serve


class ComparedRun(NamedTuple):
    """The table of a run and its notes.

    Attributes
    ----------
    rows, left_out
        One row per model of the roster, SparCode first; name -> reason of those without a row.
    cut_short
        A sentence for every training that the time limit ended.
    check
        SparCode's recall at k beside direct scoring without the index.
    threshold, density
        tau, and the share of (stored code, item) scores above it.
    codes_in_use, unseen_codes
        Codes of heads that training queries use, each with a list in the index; and those that only test queries use.
    n_train, n_validation, n_test
        Users per part.
    dropped
        Reason -> rows or users left out while reading and splitting.
    run
        Settings, data, model, index and results for `sparcode.runs.store.save_run`.
    """

    rows: list[Measurement]
    left_out: Mapping[str, str]
    cut_short: tuple[str, ...]
    k: int
    check: DirectCheck
    threshold: float
    density: float
    codes_in_use: int
    unseen_codes: int
    n_train: int
    n_validation: int
    n_test: int
    dropped: Mapping[str, int]
    run: Run


def compare(
    data: Interactions,
    config: RunConfig,
    k: int = DEFAULT_K,
    on_step: Callable[[Step], None] = lambda step: None,
    on_epoch: OnEpoch = ignore_record,
    should_stop: ShouldStop = never_stop,
    split: Split | None = None,
    device: Device = "auto",
    two_tower_config: RunConfig | None = None,
    checkpoint: Checkpoint | None = None,
    time_limit: float = math.inf,
) -> ComparedRun:
    """Train SparCode and its peers on one split and measure all of them on the test users, once.

    Every network keeps its best checkpoint by validation recall. Two-tower may train for as many epochs as SparCode's stages together.

    Parameters
    ----------
    config, two_tower_config
        Settings of all networks, and of two-tower where it has its own (its `split` is ignored).
    on_step, on_epoch, should_stop, device, checkpoint, time_limit
        See `Models`.
    split
        A ready-made split of the data; None splits the users as configured.

    Raises
    ------
    ComparisonStopped
        If `should_stop` returned true.
    ValueError
        If `k` is below 1, there are too few users to split, the data lacks the configured side features, or the device is missing.
    DivergenceError
        If a loss is no longer finite.
    """
    check_k(k)
    chosen = choose_device(device)
    split = _checked_split(data, split, config, two_tower_config or config)
    models = Models(split, config, two_tower_config, device, None, on_step, on_epoch, should_stop, checkpoint, time_limit)
    if current().n > 1:
        # Before anything that the first process does alone, for which the others would wait.
        train_networks(models)
    rows, left_out = compare_peers(MODELS, models, k)
    model, index = models.get("sparcode").model, models.get("index").model
    threshold = max(model.threshold, index.floor)
    records = [*models.get("backbone").records, *models.get("sparcode").records]
    results = [{**row.record(), "k": k} for row in rows]
    item_ids = [str(item_id) for item_id in data.item_ids]
    seen = split.user_encoding if config.model.side_features in ("users", "both") else None
    return ComparedRun(
        rows=rows,
        left_out=left_out,
        cut_short=tuple(models.cut_short),
        k=k,
        check=direct_check(serve(model, index, config.index), model, threshold, split.test, k),
        threshold=threshold,
        density=index.below(model.first_list_code).density(threshold),
        codes_in_use=len(model.without_lists(index.codes)),
        unseen_codes=len(np.setdiff1d(model.distinct_codes(split.test.queries), index.codes)),
        n_train=len(split.train),
        n_validation=len(split.validation.users),
        n_test=len(split.test.users),
        dropped={**data.dropped, **split.dropped},
        run=Run(config, data_facts(data), model, index, item_ids, data.items, records, results, machine_facts(chosen), seen),
    )


def data_facts(data: Interactions) -> DataFacts:
    """The data set's description for a saved run."""
    return DataFacts(data.name, data.content_hash(), data.synthetic, data.n_users, data.n_items, data.n_interactions, dict(data.parts))


def _checked_split(data: Interactions, split: Split | None, config: RunConfig, two_tower_config: RunConfig) -> Split:
    """The given or new split, checked for what both networks need."""
    if split is None:
        if config.split.protocol != "strong":
            raise ValueError(
                f"protocol {config.split.protocol!r} needs its ready-made split, see sparcode.data.fixed_split and deezer_split"
            )
        split = split_users(data, config.split)
    for settings in (config, two_tower_config):
        check_side_features(split, settings.model)
    return split
