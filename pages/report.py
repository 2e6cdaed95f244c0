from __future__ import annotations

from app.components.page_header import page_header


def _panel() -> None:
    # Loads the libraries of the models: the title is on the page by then.
    from app.report_page.panel import report_page

    report_page()


page_header("Report")
_panel()
