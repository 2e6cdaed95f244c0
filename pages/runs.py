from __future__ import annotations

from app.components.page_header import page_header


def _panel() -> None:
    # Loads the libraries of the models: the title is on the page by then.
    from app.runs.panel import compare_runs

    compare_runs()


page_header("Compare runs")
_panel()
