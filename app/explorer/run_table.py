"""The runs looked at, newest first, with buttons that go back to one or pin it."""

from __future__ import annotations

from typing import Any, Final

import streamlit as st

from app.measured.figure_texts import delta, figure_text
from app.measured.figures import Figures
from app.session.configuration import Configuration
from app.session.run_history import Run, RunHistory
from app.session.state import go_to, pin

_KEY: Final = "run-table"
_COLUMNS: Final = ("recall", "ndcg", "size_bytes", "postings", "p50_ms")

_CSS: Final = """
.sparcode-runs { overflow: auto; max-height: 22rem; color: var(--st-text-color); font-family: var(--st-font); font-size: 0.875rem; }
.sparcode-runs table { border-collapse: collapse; width: 100%; }
.sparcode-runs th, .sparcode-runs td { text-align: right; padding: 0.3rem 0.6rem; border-bottom: 1px solid var(--st-border-color); }
.sparcode-runs th { position: sticky; top: 0; background: var(--st-background-color); font-weight: 600; }
.sparcode-runs td { font-variant-numeric: tabular-nums; white-space: nowrap; }
.sparcode-runs .words { text-align: left; white-space: normal; }
.sparcode-runs tr[aria-current="true"] td { background: var(--st-secondary-background-color); font-weight: 600; }
.sparcode-runs small { display: block; opacity: 0.85; font-size: 0.75rem; }
.sparcode-runs button {
  font: inherit; color: inherit; background: transparent; border: 1px solid var(--st-border-color); border-radius: 0.4rem;
  padding: 0.1rem 0.5rem; cursor: pointer;
}
.sparcode-runs button:hover, .sparcode-runs button:focus-visible { border-color: var(--st-primary-color); }
.sparcode-runs button:disabled { opacity: 0.5; cursor: default; }
"""

_JS: Final = """
function cell(row, kind, text, small) {
  const made = row.appendChild(document.createElement(kind));
  made.textContent = text;
  if (small) made.appendChild(document.createElement("small")).textContent = small;
  return made;
}

function button(row, text, name, disabled, onclick) {
  const made = cell(row, "td", "").appendChild(document.createElement("button"));
  Object.assign(made, { type: "button", textContent: text, disabled, onclick });
  made.setAttribute("aria-label", name);
}

export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".sparcode-runs");
  const text = JSON.stringify(data);
  box.sparcodeSend = setTriggerValue;
  // Rows are built anew only when they changed, so that a focused button stays focused while the page looks for news.
  if (box.sparcodeText === text) return;
  box.sparcodeText = text;
  const table = document.createElement("table");
  table.setAttribute("aria-label", "Runs looked at");
  const head = table.appendChild(document.createElement("thead")).appendChild(document.createElement("tr"));
  data.head.forEach((name, at) => { const made = cell(head, "th", name); made.scope = "col"; if (at === 1) made.className = "words"; });
  const body = table.appendChild(document.createElement("tbody"));
  for (const run of data.runs) {
    const row = body.appendChild(document.createElement("tr"));
    if (run.current) row.setAttribute("aria-current", "true");
    cell(row, "td", String(run.number));
    cell(row, "td", run.label, run.change).className = "words";
    for (const [value, change] of run.figures) cell(row, "td", value, change);
    button(row, run.current ? "shown" : "Go back", "Go back to run " + run.number, run.current, () => box.sparcodeSend("go", run.number));
    button(row, run.pinned ? "pinned" : "Pin", "Pin run " + run.number, run.pinned, () => box.sparcodeSend("pin", run.number));
  }
  box.replaceChildren(table);
}
"""

_mount = st.components.v2.component(
    "sparcode_run_table",
    html='<div class="sparcode-runs" tabindex="0" role="region" aria-label="Table, may be scrolled"></div>',
    css=_CSS,
    js=_JS,
    isolate_styles=False,
)


def run_table(history: RunHistory, pinned: Configuration | None) -> None:
    """The table.

    Parameters
    ----------
    history
        Of this visitor.
    pinned
        The pinned configuration, if there is one.
    """
    k = 50
    head = ["run", "settings, and what changed", "model", f"Recall@{k}", f"NDCG@{k}", "size", "scores", "median", "", ""]
    _mount(
        key=_KEY,
        data={"head": head, "runs": table_rows(history, pinned)},
        width="stretch",
        height="content",
        on_go_change=lambda: _answer(history, "go"),
        on_pin_change=lambda: _answer(history, "pin"),
    )


def table_rows(history: RunHistory, pinned: Configuration | None) -> list[dict[str, Any]]:
    """The rows as the browser takes them, newest first; differences are to the run before."""
    rows, before = [], None
    for run in history.runs:
        chosen = run.configuration
        rows.append(
            {
                "number": run.number,
                "label": f"{chosen.label}, {chosen.keep} % kept",
                "change": "" if before is None else chosen.difference(before.configuration),
                "figures": [[run.figures.kind if run.figures else "not measured", ""], *_figures(run.figures, before)],
                "current": chosen == history.current,
                "pinned": chosen == pinned,
            }
        )
        before = run
    return rows[::-1]


def _figures(figures: Figures | None, before: Run | None) -> list[list[str]]:
    earlier = before.figures if before is not None else None
    texts = []
    for name in _COLUMNS:
        value = getattr(figures, name) if figures else None
        change = delta(name, value, getattr(earlier, name) if earlier else None)
        texts.append([figure_text(name, value), change.text])
    return texts


def _answer(history: RunHistory, name: str) -> None:
    chosen = history.numbered(int(getattr(st.session_state[_KEY], name)))
    if chosen is not None:
        (go_to if name == "go" else pin)(chosen)
