from __future__ import annotations

from app.components.page_header import page_header


def _panel() -> None:
    # Loads the libraries of the models: the title is on the page by then.
    from app.train.panel import training

    training()


page_header("Train")
_panel()
