from __future__ import annotations

import pytest
from pydantic import ValidationError

from sparcode.config import (
    SYNTHETIC_TOKEN_DIM,
    SYNTHETIC_TRAINING,
    IndexConfig,
    ModelConfig,
    QuantizerConfig,
    RunConfig,
    SplitConfig,
    SyntheticConfig,
    TrainingConfig,
)
from sparcode.config_message import validation_message
from tests.tiny import CONFIG

STAGES = (SyntheticConfig, SplitConfig, ModelConfig, QuantizerConfig, TrainingConfig, IndexConfig)


@pytest.mark.parametrize("config", [*(stage() for stage in STAGES), RunConfig(), CONFIG], ids=lambda config: type(config).__name__)
def test_settings_survive_json(config: RunConfig) -> None:
    again = type(config).model_validate_json(config.model_dump_json())
    assert again == config
    assert again.content_hash() == config.content_hash()


@pytest.mark.parametrize("stage", STAGES)
def test_every_field_is_described(stage: type) -> None:
    assert all(field.description and field.description.endswith(".") for field in stage.model_fields.values())


def test_the_hash_follows_the_content() -> None:
    assert QuantizerConfig(codebook_size=64).content_hash() != QuantizerConfig(codebook_size=65).content_hash()
    assert QuantizerConfig(codebook_size=256).content_hash() == QuantizerConfig().content_hash()
    # Written down, so that a hash that differs from process to process is noticed.
    assert IndexConfig().content_hash() == IndexConfig(floor_density=0.5).content_hash() == "5b461bb3bd710b03"


def test_a_setting_that_was_added_later_leaves_earlier_hashes_alone() -> None:
    # Written down before there were `length_exponent`, `ease_sees`, `embedding_steps`, `score` and `temperature`.
    assert TrainingConfig(length_exponent=1, ease_sees="query").content_hash() == "a73f5805543d6192"
    first = RunConfig(quantizer=QuantizerConfig(n_codebooks=2, codebook_size=128))
    assert first.content_hash() == "cb46b9b01497386c"
    changed = TrainingConfig(length_exponent=0)
    assert len({TrainingConfig().content_hash(), changed.content_hash()}) == 2
    assert len({RunConfig().content_hash(), RunConfig(training=changed).content_hash()}) == 2


def test_settings_are_frozen_and_strict() -> None:
    with pytest.raises(ValidationError):
        QuantizerConfig().codebook_size = 3
    with pytest.raises(ValidationError, match="codebooks"):
        QuantizerConfig(codebooks=3)
    with pytest.raises(ValidationError):
        TrainingConfig(learning_rate=float("nan"))


@pytest.mark.parametrize(
    ("stage", "fields", "message"),
    [
        (RunConfig, {"model": {"token_dim": 16}, "quantizer": {"n_codebooks": 3}}, "token_dim=16 must be a multiple of n_codebooks=3"),
        (QuantizerConfig, {"n_codebooks": 7, "codebook_size": 512}, "512\\*\\*7"),
        (TrainingConfig, {"keep_least": 0.9, "keep_most": 0.5}, "keep_least=0.9 must not exceed keep_most=0.5"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(stage: type, fields: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        stage.model_validate(fields)


IDLE = {
    "training": [
        ({"negatives": "batch"}, "negatives=batch does nothing with n_negatives=0"),
        ({"teacher_scale": 3, "teacher_weight": 0}, "teacher_scale=3.0 does nothing with teacher_weight=0.0"),
        ({"joint_teacher": "ease", "teacher_weight": 0}, "joint_teacher=ease does nothing with teacher_weight=0.0"),
    ],
    "model": [
        ({"max_history": 20}, "max_history=20 does nothing with encoder=mean"),
        ({"attention_heads": 4, "encoder": "gru"}, "attention_heads=4 does nothing with encoder=gru"),
        ({"interaction_layers": 2, "interaction": "dot"}, "interaction_layers=2 does nothing with interaction=dot"),
    ],
    "quantizer": [
        ({"ema_decay": 0.9, "revive_below": 0}, "ema_decay=0.9 does nothing with codebook_update=gradient and revive_below=0.0"),
        ({"kind": "items", "ema_decay": 0.9}, "ema_decay=0.9 does nothing with kind=items"),
        ({"kind": "items", "n_nearest": 2}, "n_nearest=2 does nothing with kind=items"),
    ],
    "split": [({"protocol": "fixed-split", "test_share": 0.2}, "test_share=0.2 does nothing with protocol=fixed-split")],
}


@pytest.mark.parametrize(("stage", "fields", "message"), [(stage, *case) for stage, cases in IDLE.items() for case in cases])
def test_a_setting_that_does_nothing_is_refused_by_name(stage: str, fields: dict, message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        RunConfig.model_validate({stage: fields})
    assert validation_message(refused.value) == f"{message}; leave it out"


def test_settings_of_other_stages_count_too() -> None:
    with pytest.raises(ValidationError, match=r"keep_most=0\.8 does nothing with protocol=cold-start"):
        RunConfig.model_validate({"split": {"protocol": "cold-start"}, "training": {"keep_most": 0.8}})
    for model in ({"history_tokens": 5}, {"encoder": "gru", "max_history": 50}):
        *_, (field, value) = model.items()
        with pytest.raises(ValidationError, match=f"{field}={value} does nothing with protocol=cold-start"):
            RunConfig.model_validate({"split": {"protocol": "cold-start"}, "model": model})
    hard = {"codebook_update": "ema", "n_nearest": 1}
    with pytest.raises(ValidationError, match=r"codebook_learning_rate=0\.1 does nothing with codebook_update=ema and n_nearest=1"):
        RunConfig.model_validate({"quantizer": hard, "training": {"codebook_learning_rate": 0.1}})


@pytest.mark.parametrize("training", [{"teacher_weight": 0}, {"n_negatives": 50, "teacher_weight": 0}])
def test_defaults_for_the_data_give_way_where_they_would_do_nothing(training: dict) -> None:
    made = RunConfig.for_data(synthetic=True, settings=RunConfig.model_validate({"training": training})).training
    assert (made.joint_teacher, made.start) == ("backbone", SYNTHETIC_TRAINING["start"])
    with pytest.raises(ValidationError, match="joint_teacher=ease does nothing"):
        RunConfig.for_data(
            synthetic=True,
            settings=RunConfig(training=TrainingConfig(joint_teacher="ease")).model_copy(
                update={"training": TrainingConfig(joint_teacher="ease", **training)}
            ),
        )


def test_whether_negatives_are_sampled_is_for_the_data_to_say() -> None:
    settings = RunConfig.model_validate({"training": {"n_negatives": 2000, "teacher_weight": 0.3, "teacher_scale": 3}})
    assert RunConfig.for_data(synthetic=True, settings=settings).training.joint_teacher == SYNTHETIC_TRAINING["joint_teacher"]


def test_settings_that_were_not_typed_give_way_where_they_would_do_nothing() -> None:
    values = {"model": {"encoder": "mean", "max_history": 20, "n_tokens": 2}}
    kept = RunConfig.as_written(values)
    assert kept.model.max_history == 20
    assert RunConfig.for_data(False, kept, typed={}).model == ModelConfig(n_tokens=2)
    with pytest.raises(ValidationError, match="max_history=20 does nothing with encoder=mean"):
        RunConfig.for_data(False, kept, typed={"model": {"max_history"}})
    with pytest.raises(ValidationError, match="max_history=20 does nothing with encoder=mean"):
        RunConfig.for_data(False, kept)


def test_a_removed_setting_is_refused_unless_it_was_off() -> None:
    assert TrainingConfig.model_validate({"soft_start": 1.0, "epochs": 3}) == TrainingConfig(epochs=3)
    with pytest.raises(ValidationError) as refused:
        RunConfig.model_validate({"training": {"soft_start": 4}})
    assert validation_message(refused.value) == "soft_start=4: this setting was removed because it gained nothing; leave it out"


def test_only_a_product_quantizer_splits_tokens() -> None:
    model, quantizer = {"token_dim": 16}, {"n_codebooks": 3, "kind": "residual"}
    assert RunConfig.model_validate({"model": model, "quantizer": quantizer}).quantizer.n_codebooks == 3


def test_a_residual_quantizer_has_levels() -> None:
    one_level = {"quantizer": {"kind": "residual"}}
    with pytest.raises(ValidationError, match="kind='residual' needs n_codebooks of at least 2, its levels; got 1"):
        RunConfig.model_validate(one_level)
    # Runs that were kept before stay readable.
    assert RunConfig.as_written(one_level).quantizer.n_codebooks == 1


def test_defaults_follow_the_data() -> None:
    assert RunConfig.for_data(synthetic=False) == RunConfig()
    assert RunConfig.for_data(synthetic=True).training == TrainingConfig(**SYNTHETIC_TRAINING) != TrainingConfig()
    assert RunConfig.for_data(synthetic=True).model.token_dim == SYNTHETIC_TOKEN_DIM != RunConfig().model.token_dim


def test_what_was_set_stays_on_any_data() -> None:
    settings = RunConfig(model=ModelConfig(token_dim=64), quantizer=QuantizerConfig(codebook_size=32))
    made = RunConfig.for_data(synthetic=True, settings=settings)
    assert (made.model, made.quantizer) == (settings.model, settings.quantizer)
    others = RunConfig.for_data(synthetic=True, settings=RunConfig(model=ModelConfig(n_tokens=2)))
    assert (others.model.n_tokens, others.model.token_dim) == (2, SYNTHETIC_TOKEN_DIM)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"quantizer": {"codebook_size": 1}}, "codebook_size=1: must be at least 2"),
        ({"training": {"learning_rate": 0}}, "learning_rate=0: must be above 0.0"),
        ({"training": {"dropout": 1}}, "dropout=1: must be below 1.0"),
        ({"model": {"n_tokens": 17}}, "n_tokens=17: must be at most 16"),
        ({"model": {"n_tokens": "many"}}, "n_tokens=many: must be a whole number"),
        ({"model": {"link": "log"}}, "link=log: must be 'exp' or 'linear'"),
        ({"model": 3}, "model=3: must be an object of settings"),
        ({"training": {"density": float("inf")}}, "density=inf: must be a finite number"),
        ({"quantiser": {}}, "quantiser: there is no such setting"),
        ({"model": {"token_dim": 16}, "quantizer": {"n_codebooks": 3}}, "token_dim=16 must be a multiple of n_codebooks=3"),
        ({"model": {"n_tokens": 0}, "index": {"block_codes": 0}}, "n_tokens=0: must be at least 1; block_codes=0: must be at least 1"),
    ],
)
def test_every_complaint_names_the_setting_and_the_rule(settings: dict, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RunConfig.model_validate(settings)
    assert validation_message(caught.value) == message


def test_a_long_value_is_cut() -> None:
    with pytest.raises(ValidationError) as caught:
        RunConfig.model_validate({"model": {"n_tokens": "9" * 5000}})
    assert len(validation_message(caught.value)) < 200
