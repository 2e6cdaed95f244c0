from __future__ import annotations

import re

import pytest

from app.session.settings import SETTINGS
from sparcode.glossary import TERMS, about, about_label
from sparcode.metrics.registry import METRICS

# Letters and Greek names of formulas; a term may use its own.
SYMBOLS = re.compile(r"\b[B-Z]\b|\b(?:tau|beta|sigma)\b|[τβσ]|\b[A-Z]_\w")
OWN = {"β": "beta"}


@pytest.mark.parametrize("key", TERMS)
def test_a_term_is_explained_in_sentences_without_the_symbols_of_others(key: str) -> None:
    term = TERMS[key]
    assert term.meaning.endswith(".")
    assert len(term.meaning) < 400, "a tip, not a page"
    found = set(SYMBOLS.findall(term.meaning))
    assert found <= {term.symbol, OWN.get(term.symbol)}


def test_names_are_told_apart() -> None:
    names = [term.name.lower() for term in TERMS.values()]
    assert len(names) == len(set(names))
    symbols = [term.symbol for term in TERMS.values() if term.symbol]
    assert len(symbols) == len(set(symbols))


def test_every_figure_is_explained() -> None:
    assert METRICS.keys() <= TERMS.keys()


@pytest.mark.parametrize("letter", ["M", "K", "P", "T", "D"])
def test_a_control_says_what_the_glossary_says(letter: str) -> None:
    controls = [setting for setting in SETTINGS if setting.symbol == letter or setting.text.startswith(f"{letter}=")]
    assert controls
    assert {setting.help for setting in controls} == {about_label(letter)}


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValueError, match="no term 'recal' in the glossary; known are item, "):
        about("recal")


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("Recall@50", "recall"),
        ("Recall@20, validation", "recall"),
        ("validation Recall@50", "recall"),
        ("median (ms)", "p50_ms"),
        ("Time per query at 100,000 items", "p50_ms"),
        ("threshold tau", "threshold"),
        ("M", "codebooks"),
    ],
)
def test_a_label_is_understood(label: str, key: str) -> None:
    assert about_label(label) == about(key)


def test_a_label_of_nothing_has_no_meaning() -> None:
    assert about_label("settings, and what changed") == ""
    assert about_label("") == ""
