"""One of two processes that train together, started by `test_ranks`: what it ends with goes to a folder.

torchrun --nproc-per-node 2 -m tests.training.ranks_worker FOLDER PORT PORT PORT PORT
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import typer

from sparcode.cli import app
from sparcode.commands.process import launched
from sparcode.config import RunConfig
from sparcode.model.ranks import Ranks, joined
from sparcode.training.checkpoint import Beginning, Checkpoint, StageCheckpoint
from sparcode.training.fit import fit
from sparcode.training.pipeline import backbone_trainer, train_sparcode
from sparcode.training.trainer import Trainer
from tests.commands.conftest import TINY
from tests.tiny import CONFIG, changed, tiny_data, tiny_split

# Batches of 37, 37 and 22 users: halves differ in size.
ONE_EPOCH = {
    "all items, with a teacher": changed(training={"batch_size": 37, "dropout": 0.0, "epochs": 1}),
    "uniform negatives": changed(training={"batch_size": 37, "dropout": 0.0, "epochs": 1, "n_negatives": 30}),
    "popular negatives, by length": changed(
        training={"batch_size": 37, "dropout": 0.0, "epochs": 1, "n_negatives": 30, "negatives": "popularity", "length_exponent": 0.5}
    ),
    "the batch's items, touched rows": changed(
        training={
            **{"batch_size": 37, "dropout": 0.0, "epochs": 1, "n_negatives": 30},
            **{"negatives": "batch", "embedding_steps": "touched", "target": "hidden"},
        }
    ),
}
# Codewords follow averages, and some are re-seeded.
JOINT = changed(quantizer={"codebook_update": "ema", "n_nearest": 1, "ema_decay": 0.5, "revive_below": 0.9})


def quality_config(seed: int) -> RunConfig:
    """Settings whose recall is compared with one process's."""
    return changed(training={"seed": seed, "epochs": 8, "joint_epochs": 4})


def weights(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """All weights and buffers."""
    return {name: value.numpy() for name, value in model.state_dict().items()}


def trained(config: RunConfig) -> Trainer:
    """A backbone's trainer after one epoch."""
    trainer = backbone_trainer(tiny_split(), config, "cpu")
    trainer.train_epoch()
    return trainer


def main(folder: Path, ports: list[int]) -> None:
    """Train in several ways."""
    place = launched()
    found: dict[str, dict[str, np.ndarray]] = {}
    facts: dict[str, object] = {}
    with joined(place.rank, place.n, torch.device("cpu")) as ranks:
        found |= {name: weights(trained(config).model) for name, config in ONE_EPOCH.items()}
        model, _, records = train_sparcode(tiny_split(), JOINT)
        found["joint"] = weights(model)
        facts["revived"] = sum(record.revived for record in records)
        facts["recall"] = [record.recall for record in records]
        facts["quality"] = max(record.recall for record in train_sparcode(tiny_split(), quality_config(0))[2])
        found["whole"] = weights(stopped_and_resumed(ranks, None))
        found["resumed"] = weights(stopped_and_resumed(ranks, folder / "states"))
        facts["refused"] = refused(lambda: backbone_trainer(tiny_split()._replace(train=tiny_split().train.take(np.arange(1))), CONFIG))
    facts["command"] = command(ports[0], "train", *TINY, "--json", "--out", str(folder / "run"))
    facts["other data"] = command(ports[2], "train", *TINY, *(["--seed", "7"] if place.rank else []))
    facts["other settings"] = command(ports[3], "train", *TINY, *(["--batch-size", "31"] if place.rank else []))
    if place.rank == 1:
        fail_in_fifth_batch()
    facts["failed"] = command(ports[1], "train", *TINY, "--out", str(folder / "failed"))
    np.savez(folder / f"{place.rank}.npz", **{f"{kind}/{name}": value for kind, values in found.items() for name, value in values.items()})
    (folder / f"{place.rank}.json").write_text(json.dumps(facts))


def stopped_and_resumed(ranks: Ranks, folder: Path | None) -> torch.nn.Module:
    """A backbone trained in one go, or, with a folder for its states, stopped by one process in its third epoch and gone on with."""
    config = changed(training={"epochs": 4})
    begins = Beginning(config, tiny_data().name, tiny_split().content_hash(), "cpu", ranks.n)
    if folder is not None:
        folder.mkdir(exist_ok=True)
        asked = iter(range(8))
        stop = (lambda: next(asked, None) is None) if ranks.rank == 1 else (lambda: False)
        kept = StageCheckpoint(Checkpoint(folder, begins) if ranks.is_first else None, "backbone")
        fit(backbone_trainer(tiny_split(), config, "cpu"), tiny_split().validation, should_stop=stop, checkpoint=kept)
    trainer = backbone_trainer(tiny_split(), config, "cpu")
    checkpoint = None if folder is None else StageCheckpoint(Checkpoint(folder, begins) if ranks.is_first else None, "backbone")
    records = fit(trainer, tiny_split().validation, checkpoint=checkpoint)
    assert [record.epoch for record in records] == [1, 2, 3, 4]
    return trainer.model


def command(port: int, *arguments: str) -> tuple[object, str, str]:
    """Exit code, output and errors of a command line in a new group of the same processes."""
    out, errors, code = io.StringIO(), io.StringIO(), None
    with on_port(port), contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            typer.main.get_command(app).main(list(arguments))
        except SystemExit as end:
            code = end.code
    if dist.is_initialized():
        # A process that failed would have ended.
        dist.destroy_process_group()
    return code, out.getvalue(), errors.getvalue()


@contextlib.contextmanager
def on_port(port: int) -> Iterator[None]:
    """Meet on another port, not at the launcher's store, which still has the addresses of the group before."""
    os.environ.pop("TORCHELASTIC_USE_AGENT_STORE", None)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    yield


def fail_in_fifth_batch() -> None:
    """Let the training of this process fail."""
    train_batch, calls = Trainer._train_batch, iter(range(4))

    def failing(trainer: Trainer, *arguments: object) -> object:
        if next(calls, None) is None:
            raise RuntimeError("the fifth batch is on fire")
        return train_batch(trainer, *arguments)

    Trainer._train_batch = failing


def refused(call: Callable[[], object]) -> str:
    """The ValueError of a call."""
    try:
        call()
    except ValueError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), [int(port) for port in sys.argv[2:]])
