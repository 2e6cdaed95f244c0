"""Settings of a training from scratch: widgets made from the fields of `sparcode.config`, bound to the address."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin

import annotated_types
import streamlit as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from app.session.plain_text import plain_text
from app.training.data import MAX_SYNTHETIC_SEED
from sparcode.config import RunConfig

_REFUSED: Final = "refused_train_settings"


class TrainField(NamedTuple):
    """One field of the settings that the page offers.

    Attributes
    ----------
    key
        Its name in the session and in the address.
    stage, name
        Where it stands in `RunConfig`.
    label
        What people read.
    step, number_format
        Of a number that is not whole; what is nearer to an open bound than one step in the last digit cannot be chosen.
    """

    key: str
    stage: str
    name: str
    label: str
    step: float = 1.0
    number_format: str = "%d"


ENCODER: Final = TrainField("t_encoder", "model", "encoder", "Encoder")
INTERACTION: Final = TrainField("t_interaction", "model", "interaction", "Interaction")
TOKENS: Final = TrainField("t_tokens", "model", "n_tokens", "Tokens T")
DIMENSIONS: Final = TrainField("t_dim", "model", "token_dim", "Dims D")
UPDATE: Final = TrainField("t_update", "quantizer", "codebook_update", "Codewords by")
DECAY: Final = TrainField("t_ema", "quantizer", "ema_decay", "EMA decay", 0.01, "%.3f")
BETA: Final = TrainField("t_beta", "quantizer", "commitment_weight", "Weight β", 0.05, "%.3f")
EPOCHS: Final = TrainField("t_epochs", "training", "epochs", "Epochs")
JOINT_EPOCHS: Final = TrainField("t_joint", "training", "joint_epochs", "Joint epochs")
SEED: Final = TrainField("t_seed", "training", "seed", "Seed")
PATIENCE: Final = TrainField("t_patience", "training", "patience", "Patience")
RATE: Final = TrainField("t_rate", "training", "learning_rate", "Step size", 0.001, "%.4f")
JOINT_RATE: Final = TrainField("t_joint_rate", "training", "joint_learning_rate", "Joint step size", 0.001, "%.4f")
FIELDS: Final = (
    *(ENCODER, INTERACTION, TOKENS, DIMENSIONS, UPDATE, DECAY, BETA, EPOCHS, JOINT_EPOCHS, SEED, PATIENCE),
    *(RATE, JOINT_RATE),
)


DATA: Final = "t_data"
DATA_CHOICES: Final = ("studio", "small", "standard", "upload")
DATA_SEED: Final = "t_data_seed"
WITH_TWO_TOWER: Final = "t_two_tower"
# Key, label, whether a text of the address will do, default and allowed values in words: what is offered beside the fields.
_OTHERS: Final = (
    (DATA, "Data set", DATA_CHOICES.__contains__, DATA_CHOICES[0], ", ".join(DATA_CHOICES)),
    (
        DATA_SEED,
        "Seed of the data",
        lambda text: text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= MAX_SYNTHETIC_SEED,
        "0",
        f"0 to {MAX_SYNTHETIC_SEED}",
    ),
    (WITH_TWO_TOWER, "Train two-tower, too", lambda text: text.lower() in ("true", "false"), "true", "true, false"),
)


class Bounds(NamedTuple):
    """Lowest and highest value a widget offers."""

    lowest: float
    highest: float


def field_info(field: TrainField) -> FieldInfo:
    """The field of the settings behind a widget."""
    return RunConfig.model_fields[field.stage].annotation.model_fields[field.name]


def bounds(field: TrainField) -> Bounds:
    """The bounds of a number; an open bound is moved in by one in the last digit shown.

    Parameters
    ----------
    field
        One of `FIELDS`, a number.
    """
    digit = 1.0 if field.number_format == "%d" else 10.0 ** -int(field.number_format[2:-1])
    lowest, highest = 0.0, 2.0**31 - 1
    for rule in field_info(field).metadata:
        if isinstance(rule, annotated_types.Ge):
            lowest = rule.ge
        elif isinstance(rule, annotated_types.Gt):
            lowest = rule.gt + digit
        elif isinstance(rule, annotated_types.Le):
            highest = rule.le
        elif isinstance(rule, annotated_types.Lt):
            highest = rule.lt - digit
    return Bounds(lowest, highest)


def default_of(field: TrainField, base: RunConfig) -> Any:
    """The value of a field in some settings."""
    return getattr(getattr(base, field.stage), field.name)


def field_widget(field: TrainField, base: RunConfig, disabled: bool = False) -> Any:
    """The widget of a field, bound to the address.

    Parameters
    ----------
    field
        One of `FIELDS`.
    base
        Where its default comes from.
    disabled
        Whether it plays no part now.

    Returns
    -------
    Any
        Its value.
    """
    info, default = field_info(field), default_of(field, base)
    common = {"key": field.key, "bind": "query-params", "help": info.description, "on_change": forget_refused, "disabled": disabled}
    if get_origin(info.annotation) is Literal:
        options = get_args(info.annotation)
        return st.selectbox(field.label, options, index=options.index(default), **common)
    kind = int if info.annotation is int else float
    lowest, highest = map(kind, bounds(field))
    return st.number_input(field.label, lowest, highest, value=kind(default), step=kind(field.step), format=field.number_format, **common)


def refused_train_settings(base: RunConfig) -> list[str]:
    """What the address asked for and cannot have, in words; call before the widgets, which clear such values from the address.

    Kept until a setting is changed.

    Parameters
    ----------
    base
        Where defaults come from.
    """
    refused = st.session_state.get(_REFUSED, [])
    choices = [(field.key, field.label, partial(_allowed, field), str(default_of(field, base)), _choice_of(field)) for field in FIELDS]
    for key, label, allowed, default, choice in (*choices, *_OTHERS):
        values = st.query_params.get_all(key)
        if values and (len(values) > 1 or not allowed(values[0])):
            asked = plain_text(" and ".join(values))
            text = f"The address asks for {label} = {asked}, which is not possible; {default} is used. Allowed: {choice}."
            refused = [*(known for known in refused if known != text), text]
    st.session_state[_REFUSED] = refused
    return refused


def forget_refused() -> None:
    """Nothing the address asked for in vain is worth a word any more; for widgets whose settings are no fields."""
    st.session_state[_REFUSED] = []


def use_defaults(base: RunConfig) -> None:
    """Set every field to its value in some settings; to be called before the widgets."""
    for field in FIELDS:
        st.session_state[field.key] = default_of(field, base)
    forget_refused()


def split_evenly(token_dim: int, n_codebooks: int) -> int:
    """The number of dimensions next to the wanted one that splits into equal parts, within the bounds of `token_dim`.

    Parameters
    ----------
    token_dim, n_codebooks
        D as wanted, and M.
    """
    lowest, highest = bounds(DIMENSIONS)
    fitting = [dim for dim in range(int(lowest), int(highest) + 1) if dim % n_codebooks == 0]
    # Of two that are equally near, the larger one: it can hold what the smaller one can.
    return min(fitting, key=lambda dim: (abs(dim - token_dim), -dim))


def run_config_of(base: RunConfig, values: Mapping[TrainField, Any], n_codebooks: str, codebook_size: str) -> RunConfig:
    """Settings of a run: what the widgets say, and `base` for the rest.

    Parameters
    ----------
    base
        Settings that suit the data.
    values
        Field -> its value.
    n_codebooks, codebook_size
        Values of the sliders `CODEBOOKS` and `CODEBOOK_SIZE`.

    Raises
    ------
    pydantic.ValidationError
        If they do not go together.
    """
    settings = base.model_dump()
    for field, value in values.items():
        settings[field.stage][field.name] = value
    settings["quantizer"] |= {"n_codebooks": int(n_codebooks), "codebook_size": int(codebook_size)}
    return RunConfig.model_validate(settings)


def settings_text(config: RunConfig) -> str:
    """The settings that tell runs apart, in one line."""
    model, quantizer, training = config.model, config.quantizer, config.training
    learned = f"EMA {quantizer.ema_decay:g}" if quantizer.codebook_update == "ema" else "gradient"
    return (
        f"{model.encoder}, {model.interaction}, T = {model.n_tokens}, D = {model.token_dim}, M = {quantizer.n_codebooks}, "
        f"K = {quantizer.codebook_size}, β = {quantizer.commitment_weight:g}, {learned}, "
        f"{training.epochs} + {training.joint_epochs} epochs, seed {training.seed}, step sizes {training.learning_rate:g} and "
        f"{training.joint_learning_rate:g}, patience {training.patience}"
    )


def _allowed(field: TrainField, text: str) -> bool:
    try:
        checked = RunConfig.model_fields[field.stage].annotation.model_validate({field.name: text})
    except ValidationError:
        return False
    value = getattr(checked, field.name)
    return isinstance(value, str) or bounds(field).lowest <= value <= bounds(field).highest


def _choice_of(field: TrainField) -> str:
    info = field_info(field)
    if get_origin(info.annotation) is Literal:
        return ", ".join(get_args(info.annotation))
    lowest, highest = bounds(field)
    return f"{lowest:g} to {highest:,.0f}" if highest > 10_000 else f"{lowest:g} to {highest:g}"
