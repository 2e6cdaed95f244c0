"""Streamlit's command line in a process whose studio trains for one epoch: for times that do not depend on what a model has learnt."""

from __future__ import annotations

from streamlit.web.cli import main

from app.session import loaders
from sparcode.config import RunConfig


def one_epoch(synthetic: bool) -> RunConfig:
    """As `app.session.loaders.run_config`, with one epoch and no fine-tuning."""
    config = _run_config(synthetic)
    return config.model_copy(update={"training": config.training.model_copy(update={"epochs": 1, "joint_epochs": 0})})


if __name__ == "__main__":
    _run_config = loaders.run_config
    loaders.run_config = one_epoch
    main()
