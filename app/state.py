"""Settings a link carries: session keys, allowed values, defaults and help, in one table."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import streamlit as st

from app.threshold_stops import DEFAULT_PERCENT, KEPT_PERCENTS
from sparcode.config import QuantizerConfig

_QUANTIZER = QuantizerConfig.model_fields
_REFUSED: Final = "refused_settings"
_UNSAFE: Final = re.compile(r"[^\w ,.+-]|_")


class Setting(NamedTuple):
    """One setting.

    Attributes
    ----------
    key
        Its name in the session and in the address.
    label, help
        What people read.
    options
        Allowed values, as text.
    default
        One of them; the address leaves it out.
    """

    key: str
    label: str
    help: str
    options: tuple[str, ...]
    default: str


CODEBOOKS: Final = Setting(
    "m", "Number of codebooks M", str(_QUANTIZER["n_codebooks"].description), ("1", "2", "4"), str(_QUANTIZER["n_codebooks"].default)
)
CODEBOOK_SIZE: Final = Setting(
    "k",
    "Codebook size K",
    str(_QUANTIZER["codebook_size"].description),
    ("8", "16", "32", "64", "128", "256"),
    str(_QUANTIZER["codebook_size"].default),
)
KEPT: Final = Setting(
    "keep",
    "Sparsity threshold τ: % of scores kept",
    "Only scores above the threshold tau stay in the index. Each stop is the tau of this index that keeps that share of all scores. "
    "To the right the threshold rises: fewer scores, a smaller and faster index, in the end lower recall.",
    KEPT_PERCENTS,
    DEFAULT_PERCENT,
)
SETTINGS: Final = (CODEBOOKS, CODEBOOK_SIZE, KEPT)


def slider(setting: Setting) -> str:
    """The slider of a setting, bound to the address.

    Parameters
    ----------
    setting
        One of `SETTINGS`.

    Returns
    -------
    str
        Its value.
    """
    return st.select_slider(
        setting.label,
        options=setting.options,
        value=setting.default,
        help=setting.help,
        key=setting.key,
        bind="query-params",
        on_change=_forget_refused,
    )


def quantizer_config(n_codebooks: str, codebook_size: str) -> QuantizerConfig:
    """The quantizer two sliders choose.

    Parameters
    ----------
    n_codebooks, codebook_size
        Values of `CODEBOOKS` and `CODEBOOK_SIZE`.
    """
    return QuantizerConfig(n_codebooks=int(n_codebooks), codebook_size=int(codebook_size))


def refused_settings() -> list[str]:
    """What the address asked for and cannot have, in words; call before the sliders, which clear such values from the address.

    Kept until a setting is changed.
    """
    refused = st.session_state.get(_REFUSED, [])
    for setting in SETTINGS:
        values = st.query_params.get_all(setting.key)
        if values and (len(values) > 1 or values[0] not in setting.options):
            # The address is anybody's text and the page renders Markdown.
            asked = _UNSAFE.sub("?", " and ".join(values))[:40]
            few = len(setting.options) < 10
            allowed = ", ".join(setting.options) if few else f"stops from {setting.options[0]} to {setting.options[-1]}, see the slider"
            text = f"The address asks for {setting.key} = {asked}, which is not possible; {setting.default} is used. Allowed: {allowed}."
            refused = [*(known for known in refused if known != text), text]
    st.session_state[_REFUSED] = refused
    return refused


def _forget_refused() -> None:
    st.session_state[_REFUSED] = []
