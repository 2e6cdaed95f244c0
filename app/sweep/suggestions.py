"""Which settings can vary in a sweep, and values for each around the one it has now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, get_args, get_origin

from sparcode.config import RunConfig
from sparcode.sweep.space import STAGES, checked_value

# Offered first: they decide size, time and recall of an index most.
FIRST: Final = (
    "quantizer.n_codebooks",
    "quantizer.codebook_size",
    "quantizer.n_nearest",
    "model.n_tokens",
    "model.token_dim",
    "model.interaction",
    "training.joint_learning_rate",
    "training.density",
)
# A visitor sees these chosen at first.
USUAL: Final = FIRST[:3]
# Whole numbers that are powers of two by habit.
_DOUBLED: Final = {"codebook_size", "n_codebooks", "n_nearest", "n_tokens", "token_dim", "hidden_dim", "interaction_dim", "batch_size"}


def settings_that_vary() -> tuple[str, ...]:
    """Names of all, stage.field, the usual ones first."""
    every = [
        f"{stage}.{field}" for stage, model in STAGES.items() for field, info in model.model_fields.items() if _varies(info.annotation)
    ]
    return tuple(dict.fromkeys([*FIRST, *every]))


def suggested(name: str, config: RunConfig) -> str:
    """Values or a range of a setting as the command line takes them, around its value in `config`."""
    stage, _, field = name.partition(".")
    kind, now = STAGES[stage].model_fields[field].annotation, getattr(getattr(config, stage), field)
    if get_origin(kind) is Literal:
        return ",".join(map(str, get_args(kind)))
    if kind is bool:
        return "true,false"
    if field == "seed":
        return "0,1,2"
    if kind is int:
        around = [now // 4, now // 2, now, now * 2] if field in _DOUBLED and now else [now // 2, now, now * 2 or 1]
        return ",".join(str(value) for value in sorted({value for value in around if _is_allowed(name, value)}))
    low = _first_allowed(name, (now / 4, now / 2, 3 * now / 4))
    high = _first_allowed(name, (4 * now if now else 0.5, 2 * now, 1.0, (1 + now) / 2))
    return f"{low:.4g}..{high:.4g} log" if low > 0 else f"{low:.4g}..{high:.4g}"


def _varies(kind: Any) -> bool:
    return kind in (int, float, bool) or get_origin(kind) is Literal


def _is_allowed(name: str, value: float) -> bool:
    try:
        checked_value(name, value)
    except ValueError:
        return False
    return True


def _first_allowed(name: str, values: Sequence[float]) -> float:
    """The first value within the setting's bounds; the last one if none is."""
    return next((value for value in values if _is_allowed(name, value)), values[-1])
