"""`docs/glossary.md`, made from `sparcode/glossary.py`."""

from __future__ import annotations

from textwrap import fill
from typing import Final

from sparcode.glossary import GLOSSARY, Term

WIDTH: Final = 140
_HEAD: Final = """# Glossary

The field's terms as this project uses them: what a thing is, and what more of it does. The studio's tips say the same. Made from
`sparcode/glossary.py`, whose settings take their words from `sparcode/config.py`, by `make docs`; do not edit.
"""


def glossary_page() -> str:
    """The page's text, in Markdown."""
    parts = [_HEAD]
    for heading, terms in GLOSSARY.items():
        parts.append(f"## {heading}\n\n" + "\n".join(_entry(term) for term in terms.values()) + "\n")
    return "\n".join(parts)


def _entry(term: Term) -> str:
    other = [*([term.symbol] if term.symbol else []), *([f"also: {', '.join(term.also)}"] if term.also else [])]
    named = f" ({'; '.join(other)})" if other else ""
    return fill(f"- **{term.name}**{named}: {term.meaning}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
