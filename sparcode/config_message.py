"""A pydantic error in one line, as a person would say it: ``codebook_size=1: must be at least 2``."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

_RULES = {
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be above {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be below {lt}",
    "literal_error": "must be {expected}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is far too large",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_too_short": "must not be empty",
    "model_type": "must be an object of settings",
}


def validation_message(error: ValidationError) -> str:
    """One line that says what is wrong, setting by setting; the same complaint about the same name and value is made once."""
    return "; ".join(dict.fromkeys(_complaint(detail) for detail in error.errors(include_url=False)))


def _complaint(detail: Any) -> str:
    name = str(detail["loc"][-1]) if detail["loc"] else ""
    context = detail.get("ctx", {})
    if detail["type"] == "extra_forbidden":
        return f"{name}: there is no such setting"
    if detail["type"] == "value_error":
        # Raised by a model's own check, whose text names the settings.
        return str(context["error"])
    rule = _RULES.get(detail["type"])
    said = rule.format(**context) if rule else detail["msg"]
    return f"{name}={detail['input']!s:.80}: {said}" if name else said
