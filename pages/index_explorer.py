from __future__ import annotations

from app.components.page_header import page_header


def _panel() -> None:
    # Loads the libraries of the models: the title is on the page by then.
    from app.explorer.panel import explorer

    explorer()


page_header("Index Explorer")
_panel()
