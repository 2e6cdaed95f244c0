"""What jobs of a setting are found by, and what they are called."""

from __future__ import annotations

from app.measured.measured_index import Kind
from sparcode.config import RunConfig


def setting_words(config: RunConfig) -> str:
    """M and K, for a job's label."""
    return f"M = {config.quantizer.n_codebooks}, K = {config.quantizer.codebook_size}"


def tuning_key(config: RunConfig) -> str:
    """Key of the job that fine-tunes a setting."""
    return f"fine-tuning/{config.content_hash()}"


def measuring_key(kind: Kind, config: RunConfig) -> str:
    """Key of the job that indexes and measures a model of a setting."""
    return f"{kind}/{config.content_hash()}"
