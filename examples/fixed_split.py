"""Train and test on two ready-made files, as published splits come: `python examples/fixed_split.py train.csv test.csv`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from sparcode.config import ModelConfig, QuantizerConfig, RunConfig, SyntheticConfig, TrainingConfig
from sparcode.data.loading import TrainTestFiles, load_split
from sparcode.data.synthetic import generate
from sparcode.metrics.evaluation import evaluate
from sparcode.training.pipeline import build_run_index, serve, train_sparcode


def write_files(train: Path, test: Path) -> None:
    """Made-up files in their place: a fifth of everyone's items is for the test."""
    histories = generate(SyntheticConfig(n_users=300, n_items=200)).histories
    table = pd.DataFrame({"user_id": histories.rows, "item_id": histories.items})
    held_out = np.random.default_rng(0).random(len(table)) < 0.2
    table[~held_out].to_csv(train, index=False)
    table[held_out].to_csv(test, index=False)


def main(train: str = "train.csv", test: str = "test.csv") -> None:
    """The query of a user is the training items; recall at 20 of the test items."""
    files = TrainTestFiles(Path(train), Path(test))
    if not files.train.exists():
        write_files(*files)
    settings = RunConfig(
        model=ModelConfig(hidden_dim=32),
        quantizer=QuantizerConfig(codebook_size=32),
        training=TrainingConfig(epochs=12, joint_epochs=6, batch_size=32, learning_rate=0.01),
    )
    config = RunConfig.for_data(synthetic=False, settings=settings, protocol="fixed-split")
    data, split = load_split(files, config.split)
    model, _, _ = train_sparcode(split, config)
    retriever = serve(model, build_run_index(model, split.train, config.index), config.index)
    print(f"{data.n_users:,} users, {data.n_items:,} items: {evaluate(retriever, split.test, k=20)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
