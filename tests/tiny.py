"""A planted catalogue and models small enough to train inside a test; what is cached must not be changed by its users."""

from __future__ import annotations

from functools import cache

from sparcode.comparison.training import Trained
from sparcode.config import SYNTHETIC_TRAINING, IndexConfig, ModelConfig, QuantizerConfig, RunConfig, SyntheticConfig, TrainingConfig
from sparcode.data.interactions import Histories, Interactions
from sparcode.data.split import Split, split_users
from sparcode.data.synthetic import generate
from sparcode.index.inverted_index import InvertedIndex
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.initialisation import initialise
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.training.pipeline import build_run_index, preview, train_backbone, train_two_tower

DATA = SyntheticConfig(n_users=120, n_items=80, difficulty=0.2, seed=3)
CONFIG = RunConfig(
    model=ModelConfig(n_tokens=3, token_dim=8, hidden_dim=16, interaction_dim=5),
    quantizer=QuantizerConfig(n_codebooks=2, codebook_size=6, n_nearest=4, kmeans_iterations=5),
    training=TrainingConfig(
        **SYNTHETIC_TRAINING | {"epochs": 6}, joint_epochs=3, batch_size=32, learning_rate=2e-2, density=0.3, dropout=0.1
    ),
    index=IndexConfig(floor_density=0.6, block_codes=7),
)


def changed(model: dict | None = None, quantizer: dict | None = None, training: dict | None = None, index: dict | None = None) -> RunConfig:
    """The tiny settings with some fields changed, validated; defaults that then do nothing are left out."""
    values = CONFIG.model_dump(exclude_unset=True)
    for name in SYNTHETIC_TRAINING.keys() - {"epochs"}:
        del values["training"][name]
    for stage, fields in (("model", model), ("quantizer", quantizer), ("training", training), ("index", index)):
        values[stage] |= fields or {}
    return RunConfig.for_data(True, RunConfig.model_validate(values))


def tiny_studio_settings(synthetic: bool = False) -> RunConfig:
    """As `app.session.loaders.run_config`, with T as on the pages, so that the backbone trained at the start is the one they ask for."""
    return changed(model={"n_tokens": ModelConfig().n_tokens})


@cache
def tiny_data() -> Interactions:
    """120 users, 80 items."""
    return generate(DATA)


@cache
def tiny_split() -> Split:
    """96 users to train, 12 to validate, 12 to test."""
    return split_users(tiny_data(), CONFIG.split)


@cache
def tiny_backbone() -> AllToAllModel:
    """A backbone trained for a few epochs."""
    return train_backbone(tiny_split(), CONFIG)[0]


@cache
def tiny_model() -> SparCodeModel:
    """The preview of `tiny_backbone`."""
    return preview(tiny_backbone(), tiny_split(), CONFIG)


@cache
def tiny_index() -> InvertedIndex:
    """The index of `tiny_model`."""
    return build_run_index(tiny_model(), tiny_split().train, CONFIG.index)


@cache
def tiny_parts() -> dict[str, Trained]:
    """What `Models` of a comparison need not train."""
    return {
        "backbone": Trained(tiny_backbone(), 3.0, where="on another day"),
        "sparcode": Trained(tiny_model(), 2.0, where="on another day"),
        "index": Trained(tiny_index()),
        "two-tower": Trained(train_two_tower(tiny_split(), CONFIG)[0], 1.0),
    }


def fresh_backbone(n_items: int, config: ModelConfig, seed: int = 0) -> AllToAllModel:
    """An untrained backbone with seeded weights."""
    model = AllToAllModel(n_items, config)
    initialise(model, seed)
    return model.eval()


def queries_of(n_items: int) -> Histories:
    """Four queries of different lengths, one of them empty."""
    return Histories.from_lists([[0, 2, n_items - 1], [], [1], [3, 2, 4, 0, 1]], n_items)
