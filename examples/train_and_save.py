"""Train SparCode and its peers on interactions of your own, and keep the run: `python examples/train_and_save.py runs/example`."""

from __future__ import annotations

import sys

import pandas as pd

from sparcode.comparison.run import compare
from sparcode.comparison.table import comparison_text
from sparcode.config import ModelConfig, QuantizerConfig, RunConfig, SyntheticConfig, TrainingConfig
from sparcode.data.interactions import Interactions
from sparcode.data.synthetic import generate
from sparcode.runs.store import save_run


def own_interactions() -> Interactions:
    """Any table with a user and an item column; here one that this project makes up."""
    made = generate(SyntheticConfig(n_users=300, n_items=200))
    table = pd.DataFrame({"user_id": made.user_ids[made.histories.rows], "item_id": made.item_ids[made.histories.items]})
    return Interactions.from_frame(table, "my shop", items=made.items.assign(item_id=made.item_ids))


def main(folder: str = "runs/example") -> None:
    """Train for a few epochs, print the table of all models, save SparCode."""
    settings = RunConfig(
        model=ModelConfig(token_dim=16, hidden_dim=32),
        quantizer=QuantizerConfig(codebook_size=32),
        training=TrainingConfig(epochs=8, joint_epochs=4, batch_size=32),
    )
    compared = compare(own_interactions(), RunConfig.for_data(synthetic=False, settings=settings))
    print(comparison_text(compared))
    print("kept in", save_run(compared.run, folder, overwrite=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
