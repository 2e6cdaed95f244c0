"""What a comparison of two runs says, in words."""

from __future__ import annotations

from app.kept.comparable import RECORDED, RunFacts
from app.kept.run_figures import RunFigures
from sparcode.comparison.paired import Paired
from sparcode.config import DEFAULT_K

# A difference with a smaller p-value is called one.
SIGNIFICANT = 0.05
# Sizes and times nearer to each other are called alike.
_ALIKE = 1.05


def run_label(name: str) -> str:
    """A run's name for people."""
    return f"recorded {name.removeprefix(RECORDED)}" if name.startswith(RECORDED) else name


def in_markdown(name: str) -> str:
    """A run's label where Markdown is read; a name has no other sign that Markdown knows."""
    return run_label(name).replace("_", r"\_")


def p_text(p_value: float) -> str:
    """A p-value with two digits."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def answer(first: RunFigures, second: RunFigures, found: Paired) -> str:
    """One sentence, in Markdown, on the second run beside the first; for runs with the same test users."""
    a, b = in_markdown(first.facts.name), in_markdown(second.facts.name)
    counts = f"{found.wins:,} users won, {found.losses:,} lost, {p_text(found.p_value)};"
    if found.p_value >= SIGNIFICANT:
        return (
            f"**Whether {b} finds more or less than {a} cannot be told from chance**: {found.mean:+.3f} Recall@{DEFAULT_K}, {counts} "
            f"{b} {costs(first, second)}."
        )
    more = "more" if found.mean > 0 else "less"
    return f"**{b} has {abs(found.mean):.3f} {more} Recall@{DEFAULT_K} than {a}**: {counts} it {costs(first, second)}."


def unpaired(first: RunFigures, second: RunFigures) -> str:
    """The same for runs with other test users, with the reason."""
    a, b = in_markdown(first.facts.name), in_markdown(second.facts.name)
    why = other_users(first.facts, second.facts)
    return (
        f"**{b} and {a} were tested on different users, who cannot be compared one by one**: {why}. Recall@{DEFAULT_K} is "
        f"{second.own_recall:.3f} and {first.own_recall:.3f}; {b} {costs(first, second)}."
    )


def other_users(first: RunFacts, second: RunFacts) -> str:
    """Why two runs are not tested on the same users; empty if they are."""
    if first.data_hash != second.data_hash:
        return "their data differs"
    return "" if first.same_users == second.same_users else "their data is split in another way"


def costs(first: RunFigures, second: RunFigures) -> str:
    """Size and time of the second run beside the first."""
    size = _beside(second.own_bytes, first.own_bytes, "larger", "smaller", "as large")
    time = _beside(second.own_ms, first.own_ms, "slower", "faster", "as fast")
    return f"is {size} and {time}"


def difference_takeaway(found: Paired) -> str:
    """Title of the chart of users."""
    return f"{found.wins:,} users won, {found.losses:,} lost, {found.ties:,} tied: {found.mean:+.3f} on average"


def _beside(value: float, other: float, more: str, less: str, alike: str) -> str:
    low, high = sorted((max(value, 1e-12), max(other, 1e-12)))
    if high < _ALIKE * low:
        return alike
    ratio = high / low
    return f"{f'{ratio:,.0f}' if ratio >= 10 else f'{ratio:.1f}'} times {more if value > other else less}"
