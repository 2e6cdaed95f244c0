"""Validated settings of every stage.

Bounds, defaults and help texts live here once; the command line's flags and the app's widgets are made from these
fields. Every model is frozen, refuses unknown fields, survives a JSON round trip and has a content hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

# Items per query where nothing is said, as in the paper.
DEFAULT_K = 50
# A dot product of 32 or more dimensions expresses nearly all of the planted affinity: there would be nothing to show.
SYNTHETIC_TOKEN_DIM = 16
# The planted "fits any one taste" is found late and from a random start: where all tokens start at the same linear model, they stay there.
SYNTHETIC_TRAINING = {"epochs": 80, "start": "random", "schedule": "constant", "joint_teacher": "ease"}
PROTOCOL_DEFAULTS = {
    # Side features are all that is known of users. Scoring all of 50,000 songs for every code of a batch takes gigabytes; a smaller
    # catalogue is scored whole all the same.
    "cold-start": {"model": {"side_features": "both"}, "training": {"n_negatives": 2000}}
}

# Name -> default of settings that the first kept runs did not have.
_ADDED_LATER = {
    "pair_features": "none",
    "item_lists": "none",
    "length_exponent": 1.0,
    "ease_sees": "query",
    "score": "dot",
    "temperature": 0.1,
    "embedding_steps": "all",
}


class Config(BaseModel):
    """Base of all settings: frozen, strict about unknown names, hashable by content."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def content_hash(self) -> str:
        """Hash of the settings' values, the same in every process.

        Returns
        -------
        str
            16 hexadecimal digits.
        """
        return _content_hash(self)


@lru_cache(maxsize=1024)
def _content_hash(config: Config) -> str:
    # Cached, because the studio asks many times a second.
    return settings_hash(config.model_dump(mode="json"))


def settings_hash(values: Mapping[str, Any]) -> str:
    """`Config.content_hash` of settings as they stand in JSON.

    Settings that were added later count only where they are not at their default, so that earlier runs keep their names.
    """
    values = {
        stage: {name: value for name, value in fields.items() if _ADDED_LATER.get(name) != value} if isinstance(fields, Mapping) else fields
        for stage, fields in values.items()
        if _ADDED_LATER.get(stage) != fields
    }
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class SyntheticConfig(Config):
    """The planted catalogue (`sparcode.data.synthetic`)."""

    n_users: int = Field(2000, ge=50, le=200_000, description="Users to generate.")
    n_items: int = Field(1200, ge=50, le=200_000, description="Items in the planted catalogue.")
    nonlinear_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the planted affinity that is 'an item fits any one taste' instead of 'fits the average "
        "taste'. At 0 a dot product of the latent dimension expresses everything.",
    )
    difficulty: float = Field(0.5, ge=0, le=1, description="Noise in what users pick: 0 is clean, 1 is mostly popularity and chance.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the catalogue and of every choice in it.")


class SplitConfig(Config):
    """Who is trained on and who is tested: held-out users whose histories are cut into query and targets, or a ready-made split."""

    protocol: Literal["strong", "fixed-split", "cold-start"] = Field(
        "strong",
        description="strong (generalization): users are split, test users are never trained on; fixed-split: a training file and a test "
        "file, the query is the user's training items; cold-start: Deezer's release, users are known by side features alone.",
    )
    validation_share: float = Field(0.1, gt=0, le=0.4, description="Share of users held out for validation.")
    test_share: float = Field(0.1, gt=0, le=0.4, description="Share of users held out for the test.")
    target_share: float = Field(0.2, gt=0, lt=1, description="Last part of a held-out history that is to be predicted.")
    min_history: int = Field(5, ge=2, le=1000, description="Users with fewer interactions are dropped and counted.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the user shuffle.")


class ModelConfig(Config):
    """Network shapes shared by SparCode, two-tower and all-to-all."""

    encoder: Literal["mean", "gru", "sasrec"] = Field(
        "mean",
        description="Network that reads a query: mean (pooled history, then a DNN), gru (GRU4Rec) or sasrec (causal self-attention). The "
        "last two know the order, and take longer.",
    )
    interaction: Literal["dot", "mlp", "cross", "attention"] = Field(
        "mlp",
        description="Network that scores a (token, item) pair: dot (product), mlp (DNN), cross (DCN-v2) or attention.",
    )
    score: Literal["dot", "cosine"] = Field(
        "dot",
        description="How vectors of a token and an item meet, before the interaction network's correction and beside the item's bias: dot, "
        "their inner product, or cosine, over a temperature that is learnt.",
    )
    temperature: float = Field(0.1, gt=0, le=10, description="First temperature of the cosine; smaller ones spread the scores further.")
    n_tokens: int = Field(
        4, ge=1, le=16, description="How many tokens, vectors, describe one user (T). More can cover more tastes and cost time."
    )
    history_tokens: int = Field(
        0, ge=0, le=1000, description="Latest history items that are tokens of their own, beside the heads; 0: only the heads."
    )
    token_dim: int = Field(
        64,
        ge=4,
        le=512,
        description=f"Dimensions of a token (D); {SYNTHETIC_TOKEN_DIM} on synthetic data. More can hold finer tastes, and cost memory and "
        "time to train.",
    )
    hidden_dim: int = Field(256, ge=8, le=2048, description="Width of the query encoder.")
    max_history: int = Field(100, ge=1, le=2000, description="Latest items that gru and sasrec read; mean reads them all.")
    attention_blocks: int = Field(2, ge=1, le=8, description="Attention blocks of sasrec.")
    attention_heads: int = Field(2, ge=1, le=16, description="Attention heads of sasrec; hidden_dim must be a multiple.")
    interaction_dim: int = Field(8, ge=1, le=512, description="Width of the interaction network: hidden units, rank or head size.")
    interaction_layers: int = Field(1, ge=1, le=8, description="Hidden layers of the mlp interaction.")
    side_features: Literal["none", "items", "users", "both"] = Field(
        "none",
        description="What the networks see beside histories: features of items (genres), of users, or both; the data must have them.",
    )
    pair_features: Literal["none", "counts"] = Field(
        "none",
        description="What SparCode's score knows of a (code, item) pair beside the network: none, the paper's form; or counts, how often "
        "the training queries that fall on the code hold the item, normalised and weighted as validation users like it best.",
    )
    item_lists: Literal["none", "counts", "ease"] = Field(
        "none",
        description="Lists of SparCode's index beside those of the heads' codes, one for every history item: none, the paper's form; ease, "
        "EASE's weights of item pairs (counts where the catalogue is too large for them); or counts, how often users have both. How much "
        "they count, and how long they are, is as validation users like it best.",
    )
    link: Literal["exp", "linear"] = Field(
        "exp",
        description="Output activation of the interaction network: exp makes every code a mixture component, so pruning small scores "
        "costs little; linear is the raw network output.",
    )

    @model_validator(mode="after")
    def _heads_split_evenly(self) -> ModelConfig:
        if self.encoder == "sasrec" and self.hidden_dim % self.attention_heads:
            raise ValueError(f"hidden_dim={self.hidden_dim} must be a multiple of attention_heads={self.attention_heads}")
        return self


class QuantizerConfig(Config):
    """The quantizer of tokens."""

    kind: Literal["product", "residual", "items"] = Field(
        "product",
        description="product: a token is cut into sub-vectors, one codeword each; residual: a sum of codewords, each level takes what the "
        "levels before it left over; items: no heads, every item of a history is a code.",
    )
    n_codebooks: int = Field(
        1,
        ge=1,
        le=8,
        description="Into how many parts a token is cut, each with a codebook of its own (M); or levels of a residual quantizer. "
        "More tell users apart more finely, and make many more lists.",
    )
    codebook_size: int = Field(
        256,
        ge=2,
        le=16384,
        description="How many codewords a codebook has (K), the patterns that a part of a token is sorted into. More tell users "
        "apart more finely, and make the index larger.",
    )
    n_nearest: int = Field(
        8,
        ge=1,
        le=128,
        description="To how many of its nearest codes a token is sent, with softmax weights (P); 1 is the paper's hard assignment. "
        "More find more and take longer.",
    )
    codebook_update: Literal["gradient", "ema"] = Field(
        "gradient", description="How codewords learn: by the loss's gradient, or by the moving average of the tokens they stand for."
    )
    ema_decay: float = Field(
        0.95,
        ge=0.5,
        lt=1,
        description="Decay of the moving averages of codeword usage and position. Nearer to 1 they follow the tokens more slowly.",
    )
    commitment_weight: float = Field(
        0.0, ge=0, le=10, description="Weight of the commitment loss (beta). More keeps tokens nearer to their codewords."
    )
    revive_below: float = Field(
        0.05, ge=0, le=1, description="A codeword used less than this share of the average is re-seeded from the batch; 0 switches it off."
    )
    kmeans_iterations: int = Field(12, ge=0, le=100, description="Lloyd iterations of the k-means start; 0 starts at random tokens.")

    @model_validator(mode="after")
    def _codes_fit(self) -> QuantizerConfig:
        if self.codebook_size**self.n_codebooks >= 2**62:
            raise ValueError(f"codebook_size**n_codebooks must stay below 2**62; got {self.codebook_size}**{self.n_codebooks}")
        return self

    def codebooks(self, n_items: int) -> tuple[int, int]:
        """Number of codebooks and codewords of each, over a catalogue of so many items."""
        return (1, n_items) if self.kind == "items" else (self.n_codebooks, self.codebook_size)


class TrainingConfig(Config):
    """One training run; the caller loops over epochs."""

    epochs: int = Field(
        20, ge=1, le=1000, description="Epochs of the continuous backbone (and of each baseline), at most; 80 on synthetic data."
    )
    joint_epochs: int = Field(30, ge=0, le=1000, description="Epochs of joint training with the quantizer, at most.")
    patience: int = Field(10, ge=1, le=1000, description="Epochs without a better validation recall before training stops.")
    batch_size: int = Field(128, ge=8, le=8192, description="B: queries in a batch.")
    learning_rate: float = Field(3e-3, gt=0, le=1, description="Adam's first step size, see `schedule`.")
    joint_learning_rate: float = Field(2e-3, gt=0, le=1, description="The same in joint training, where it always falls along a cosine.")
    schedule: Literal["cosine", "constant"] = Field(
        "cosine", description="Step size of the backbone and of the networks beside it: falls along a cosine over the epochs, or stays."
    )
    codebook_learning_rate: float = Field(3e-2, gt=0, le=1, description="The same for codewords that learn by gradient.")
    weight_decay: float = Field(0.1, ge=0, le=1, description="Adam's decoupled weight decay.")
    dropout: float = Field(0.3, ge=0, lt=1, description="Dropout in the query encoder.")
    keep_least: float = Field(
        0.4, gt=0, le=1, description="Least share of a training history shown as the query; the whole history is the target."
    )
    keep_most: float = Field(0.9, gt=0, le=1, description="Largest share of a training history shown as the query.")
    first_part_share: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Share of training queries that are the first part of a history, as at evaluation; the others are a random part. "
        "Without times in the data every query is a random part.",
    )
    target: Literal["history", "hidden"] = Field(
        "history",
        description="What a training query is to predict: the whole history, or only what it is not shown; 'hidden' keeps history tokens "
        "from learning to predict themselves.",
    )
    length_exponent: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Weight of a user in the loss, as a power of the number of targets: 1 counts every interaction alike, 0 every user, as "
        "recall does.",
    )
    teacher_weight: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Weight of a teacher's soft targets beside the real ones, EASE's for every network alike; 0 trains without a teacher. "
        "Not used with sampled negatives or where queries have no history; EASE teaches on at most 10000 items.",
    )
    joint_teacher: Literal["backbone", "ease"] = Field(
        "backbone",
        description="Teacher of joint training: the all-to-all backbone as it was, shown whole histories where SparCode sees a part, "
        "or EASE as for the other networks.",
    )
    teacher_scale: float = Field(
        5.0, gt=0, le=100, description="Factor on EASE's scores before the softmax that makes soft targets of them."
    )
    ease_sees: Literal["query", "history"] = Field(
        "query",
        description="What EASE is shown as a teacher: the part of a history that the network sees, or all of it, as the backbone is.",
    )
    start: Literal["spectral", "random"] = Field(
        "spectral",
        description="First item vectors of every network: spectral (leading singular vectors of the training interactions, biases from "
        "popularity) or random.",
    )
    n_negatives: int = Field(0, ge=0, le=1_000_000, description="Shared negatives per batch (sampled softmax); 0 scores every item.")
    negatives: Literal["uniform", "popularity", "batch"] = Field(
        "uniform",
        description="How negatives are drawn where n_negatives is above 0 and below the number of items: uniform; popularity (0.75th power "
        "of an item's users); or batch, all items of the batch whatever n_negatives says. Loss corrected for the draw.",
    )
    embedding_steps: Literal["all", "touched"] = Field(
        "all",
        description="Rows of an embedding table that a step of Adam moves: all; or touched, those that the batch has a gradient for, "
        "which takes a fraction of the time where negatives are sampled from a large catalogue. The others keep their moments and do not "
        "decay.",
    )
    density: float = Field(0.2, gt=0, le=1, description="Share of (code, item) scores above the threshold; sets tau.")
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        description="Seed of initial weights, batches and negatives. Another seed shows how much of a difference is chance.",
    )

    @model_validator(mode="before")
    @classmethod
    def _soft_start_is_gone(cls, values: Any) -> Any:
        # Runs kept before the setting was removed name it; 1 was "off".
        if not isinstance(values, dict) or "soft_start" not in values:
            return values
        if values["soft_start"] != 1:
            raise ValueError(f"soft_start={values['soft_start']}: this setting was removed because it gained nothing; leave it out")
        return {name: value for name, value in values.items() if name != "soft_start"}

    @model_validator(mode="after")
    def _keep_is_a_range(self) -> TrainingConfig:
        if self.keep_least > self.keep_most:
            raise ValueError(f"keep_least={self.keep_least} must not exceed keep_most={self.keep_most}")
        return self


PostingsKind = Literal["float32", "blocked", "quantized"]


class IndexConfig(Config):
    """The sparse inverted index."""

    floor_density: float = Field(
        0.5, gt=0, le=1, description="Share of scores kept in the index, so that the threshold can move down to there without a rebuild."
    )
    unseen: Literal["compute", "nearest"] = Field(
        "compute", description="A code no training query used: compute its list and keep it, or go to the nearest stored code."
    )
    block_codes: int = Field(64, ge=1, le=65536, description="Codes scored at a time while the index is built.")
    postings: PostingsKind = Field(
        "float32",
        description="How postings are served: float32, lists by score with 8 bytes each; blocked, by blocks of items with 6; "
        "quantized, by blocks with scores of 16 bits, 4 (blocks have tables beside).",
    )


class SweepConfig(Config):
    """How a sweep chooses settings, and which it gives up early."""

    sampler: Literal["bayesian", "random", "grid"] = Field(
        "bayesian",
        description="How settings are chosen: bayesian (TPE: learns from the trials before), random, or grid (every combination of the "
        "values).",
    )
    objective: Literal["recall", "front"] = Field(
        "recall",
        description="What bayesian search looks for: recall, the best one on a trial's threshold curve; or front, recall and few bytes at "
        "the threshold of training, so that small indexes are searched too.",
    )
    pruner: Literal["quartile", "median", "none"] = Field(
        "quartile",
        description="Which trials end early: those whose best validation recall so far is below that of three quarters (quartile) or "
        "of half (median) of the complete trials at the same joint epoch. None is judged by epoch 0, before five trials are complete, "
        "where training.density varies, on which that recall depends, or where small indexes are wanted: with max_bytes, or the front as "
        "objective.",
    )
    trials: int = Field(24, ge=1, le=10_000, description="Settings to try, at most; a grid may have fewer.")
    max_bytes: int | None = Field(
        None,
        ge=1,
        le=2**53,
        description="Bytes that an index may have: a trial is as good as the best recall on its threshold curve within them. Without it, "
        "the best recall of the whole curve.",
    )


class _WithoutEffect(NamedTuple):
    """A setting, given as stage.field, that does nothing while all of `others` have the values they are asked about."""

    setting: str
    others: dict[str, Callable[[Any], bool]]
    # Beside the default, which need not be given.
    allowed: tuple = ()


def _is(*values: Any) -> Callable[[Any], bool]:
    return lambda value: value in values


_PROTOCOL = "split.protocol"
# Settings of a stage that is skipped (`joint_epochs` 0) and the width of an interaction network that has none are let pass. What depends on
# the data, such as whether negatives are sampled, is checked by `sparcode.training.pipeline.check_settings_act`.
_WITHOUT_EFFECT = (
    _WithoutEffect("split.test_share", {_PROTOCOL: _is("fixed-split", "cold-start")}),
    *(_WithoutEffect(f"split.{name}", {_PROTOCOL: _is("cold-start")}) for name in ("validation_share", "target_share", "min_history")),
    _WithoutEffect("model.max_history", {"model.encoder": _is("mean")}),
    *(
        _WithoutEffect(f"model.{name}", {_PROTOCOL: _is("cold-start")})
        for name in ("max_history", "history_tokens", "pair_features", "item_lists")
    ),
    *(
        _WithoutEffect(f"quantizer.{name}", {"quantizer.kind": _is("items")})
        for name in (
            "n_codebooks",
            "codebook_size",
            "n_nearest",
            "codebook_update",
            "ema_decay",
            "commitment_weight",
            "revive_below",
            "kmeans_iterations",
        )
    ),
    _WithoutEffect("training.codebook_learning_rate", {"quantizer.kind": _is("items")}),
    *(_WithoutEffect(f"model.attention_{part}", {"model.encoder": _is("mean", "gru")}) for part in ("blocks", "heads")),
    _WithoutEffect("model.interaction_layers", {"model.interaction": _is("dot", "cross", "attention")}),
    _WithoutEffect("quantizer.ema_decay", {"quantizer.codebook_update": _is("gradient"), "quantizer.revive_below": _is(0)}),
    _WithoutEffect("training.codebook_learning_rate", {"quantizer.codebook_update": _is("ema"), "quantizer.n_nearest": _is(1)}),
    *(
        _WithoutEffect(f"training.{name}", {_PROTOCOL: _is("cold-start")}, allowed)
        for name, allowed in (
            ("keep_least", ()),
            ("keep_most", ()),
            ("first_part_share", ()),
            ("target", ()),
            ("teacher_weight", (0,)),
            ("joint_teacher", ()),
            ("teacher_scale", ()),
            ("ease_sees", ()),
        )
    ),
    _WithoutEffect("model.temperature", {"model.score": _is("dot")}),
    _WithoutEffect("training.negatives", {"training.n_negatives": _is(0)}),
    _WithoutEffect("training.embedding_steps", {"training.n_negatives": _is(0)}),
    *(_WithoutEffect(f"training.{name}", {"training.teacher_weight": _is(0)}) for name in ("joint_teacher", "teacher_scale", "ease_sees")),
)


_AS_WRITTEN = "as written"


class RunConfig(Config):
    """Everything that decides a run's numbers, next to its data."""

    split: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    quantizer: QuantizerConfig = QuantizerConfig()
    training: TrainingConfig = TrainingConfig()
    index: IndexConfig = IndexConfig()

    @classmethod
    def as_written(cls, values: Any) -> RunConfig:
        """Settings as a kept run names them: also those without effect, which are refused otherwise."""
        return cls.model_validate(values, context=_AS_WRITTEN)

    @classmethod
    def for_data(
        cls,
        synthetic: bool,
        settings: RunConfig | None = None,
        protocol: str = "strong",
        typed: Mapping[str, Collection[str]] | None = None,
    ) -> RunConfig:
        """Settings with the defaults that suit the data.

        Parameters
        ----------
        synthetic
            Whether the data is the planted catalogue (`sparcode.data.synthetic`): tokens have 16 dimensions there, 64 on other data, and
            training is as in `SYNTHETIC_TRAINING`.
        settings
            What was set on purpose stays; None: nothing was.
        protocol
            Evaluation protocol the data comes with; see `PROTOCOL_DEFAULTS`.
        typed
            Stage -> fields that must have an effect, None for all that were set; others without one become the default.

        Raises
        ------
        pydantic.ValidationError
            If what was set does not go with the other defaults.
        """
        values = cls().model_dump()
        if synthetic:
            values["model"]["token_dim"] = SYNTHETIC_TOKEN_DIM
            values["training"] |= SYNTHETIC_TRAINING
        values["split"]["protocol"] = protocol
        for stage, fields in PROTOCOL_DEFAULTS.get(protocol, {}).items():
            values[stage] |= fields
        given = {} if settings is None else settings.model_dump(exclude_unset=True)
        for stage, fields in given.items():
            values[stage] |= fields
        if typed is None:
            typed = given
        for rule in _WITHOUT_EFFECT:
            stage, _, field = rule.setting.partition(".")
            if field not in typed.get(stage, ()) and _reason(rule, values):
                values[stage][field] = _default(cls, stage, field)
        return cls.model_validate(values)

    @model_validator(mode="after")
    def _every_setting_acts(self, info: ValidationInfo) -> RunConfig:
        if info.context == _AS_WRITTEN:
            return self
        values = self.model_dump()
        for rule in _WITHOUT_EFFECT:
            stage, _, field = rule.setting.partition(".")
            value = values[stage][field]
            if value not in (_default(type(self), stage, field), *rule.allowed) and (reason := _reason(rule, values)):
                raise ValueError(f"{field}={value} does nothing with {reason}; leave it out")
        return self

    @model_validator(mode="after")
    def _residual_has_levels(self, info: ValidationInfo) -> RunConfig:
        if info.context != _AS_WRITTEN and self.quantizer.kind == "residual" and self.quantizer.n_codebooks < 2:
            raise ValueError(
                f"kind='residual' needs n_codebooks of at least 2, its levels; got {self.quantizer.n_codebooks}, "
                "which is the same as kind='product'"
            )
        return self

    @model_validator(mode="after")
    def _idle_codewords_of_items_stay(self) -> RunConfig:
        # A rare item's codeword is idle in most batches, not dead: revival would take it from its item.
        if self.model.history_tokens and self.quantizer.revive_below and self.quantizer.kind != "items":
            raise ValueError(f"history_tokens={self.model.history_tokens} needs revive_below=0; got {self.quantizer.revive_below}")
        return self

    @model_validator(mode="after")
    def _items_are_known_by_something(self) -> RunConfig:
        if self.quantizer.kind != "items":
            return self
        if self.model.pair_features == "none" and not self.model.history_tokens:
            raise ValueError("kind='items' needs pair_features='counts' or history_tokens: nothing else tells items apart")
        if self.index.unseen == "nearest":
            raise ValueError("kind='items' needs unseen='compute': an item without a list has no nearest one")
        return self

    @model_validator(mode="after")
    def _item_lists_stand_beside_heads(self) -> RunConfig:
        lists = self.model.item_lists
        if lists == "none":
            return self
        if self.quantizer.kind == "items":
            raise ValueError(f"item_lists={lists!r} needs kind='product' or 'residual': with kind='items' every item has its list already")
        if self.model.pair_features != "none":
            raise ValueError(f"item_lists={lists!r} needs pair_features='none': validation users choose both, each as if alone")
        if self.index.unseen == "nearest":
            raise ValueError(f"item_lists={lists!r} needs unseen='compute': an item without a list has no nearest one")
        return self

    @model_validator(mode="after")
    def _token_splits_evenly(self) -> RunConfig:
        if self.quantizer.kind == "product" and self.model.token_dim % self.quantizer.n_codebooks:
            raise ValueError(f"token_dim={self.model.token_dim} must be a multiple of n_codebooks={self.quantizer.n_codebooks}")
        return self


def _default(config: type[RunConfig], stage: str, field: str) -> Any:
    return getattr(config.model_fields[stage].default, field)


def _reason(rule: _WithoutEffect, values: dict[str, dict[str, Any]]) -> str:
    """The other settings that leave this one without effect, in words; empty if it acts."""
    found = []
    for path, idles in rule.others.items():
        stage, _, field = path.partition(".")
        if not idles(value := values[stage][field]):
            return ""
        found.append(f"{field}={value}")
    return " and ".join(found)
