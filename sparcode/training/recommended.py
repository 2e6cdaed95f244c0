"""Settings recommended from the data's shape: what `sparcode train` takes where nothing is typed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from sparcode.config import RunConfig, TrainingConfig
from sparcode.data.split import Split
from sparcode.training.pipeline import TEACHER_MAX_ITEMS, check_settings_act, with_idle_reset

# Where fewer than this share of all (user, item) pairs is an interaction, in a catalogue of at least so many items, what users have in
# common says more than a dot product: Gowalla has 0.07%, Amazon books 0.04%, goodbooks 0.2%, Amazon electronics 1.5%; MovieLens has 5%.
SPARSE_SHARE: Final = 0.02
SPARSE_ITEMS: Final = 1_000
# Up to so many logits an epoch, users times items, the networks, which are peers then, train as by default, within minutes.
EPOCH_LOGITS: Final = 50_000_000
# Logits of a batch, 128 MiB of float32; more are kept beside them for the gradient.
BATCH_LOGITS: Final = 1 << 25
# Beyond this catalogue the softmax is over the batch's items.
ALL_ITEMS: Final = 200_000
# Who types one of these chooses what the codes are; who types one of the fields, what stands beside the network.
_OF_CODES: Final = "quantizer"
_BESIDE: Final = ("pair_features", "item_lists", "history_tokens", "link")


class Recommended(NamedTuple):
    """Settings, and a sentence on why they differ from the defaults; empty where they do not."""

    config: RunConfig
    reason: str


def recommended(split: Split, config: RunConfig, typed: Mapping[str, Collection[str]]) -> Recommended:
    """Settings for data of this shape; `typed` names, per stage, what was set on purpose and stays and acts.

    Large, sparse catalogues get codes that are items, and pair features instead of joint training; the networks are trained beside them as
    peers. Others get item lists beside the network's codes. The defaults stay where something typed would be refused or do nothing
    beside these settings, and where queries have no history.
    """
    train = split.train
    share = len(train.items) / max(1, len(train) * train.n_items)
    if not split.protocol.shows_history or any(name in typed.get("model", ()) for name in _BESIDE):
        return Recommended(config, "")
    is_sparse = train.n_items >= SPARSE_ITEMS and share < SPARSE_SHARE
    if is_sparse and typed.get(_OF_CODES):
        return Recommended(config, "")
    choices = _for_sparse(len(train), train.n_items) if is_sparse else {"model": {"item_lists": "ease"}}
    values = config.model_dump()
    for stage, fields in choices.items():
        values[stage] |= {name: value for name, value in fields.items() if name not in typed.get(stage, ())}
    try:
        made = RunConfig.for_data(False, RunConfig.as_written(values), config.split.protocol, typed)
        check_settings_act(split, with_idle_reset(split, made, typed.get("training", ())).training)
    except ValueError:
        return Recommended(config, "")
    known = f"{train.n_items:,} items of which users have {100 * share:.2g}%"
    reason = (
        f"{known}: every item is its own code, and E counts which go together; "
        "a setting of the quantizer, or --pair-features none, trains the network's codes instead"
        if is_sparse
        else f"{known}: lists of the history's items stand beside the network's codes, where validation users find them to help; "
        "--item-lists none leaves them out"
    )
    return Recommended(made, reason)


def _for_sparse(n_users: int, n_items: int) -> dict[str, dict[str, object]]:
    """Settings by stage for a large, sparse catalogue."""
    codes = {"model": {"pair_features": "counts"}, "quantizer": {"kind": "items"}}
    if n_users * n_items <= EPOCH_LOGITS and n_items <= TEACHER_MAX_ITEMS:
        usual = TrainingConfig()
        return {**codes, "training": {"epochs": usual.epochs + usual.joint_epochs, "joint_epochs": 0}}
    sampled = n_items > ALL_ITEMS
    return {
        "model": {**codes["model"], "interaction": "dot", "n_tokens": 2, "hidden_dim": 128, "token_dim": 128},
        "quantizer": codes["quantizer"],
        "training": {
            "epochs": 8,
            "joint_epochs": 0,
            "batch_size": max(64, min(512, BATCH_LOGITS // n_items)),
            "teacher_weight": 0.0,
            "keep_least": 0.5,
            **({"n_negatives": 8192, "negatives": "batch"} if sampled else {}),
        },
    }
