"""The button below a chart or a row of figures that adds it to the visitor's report; for the components that draw these."""

from __future__ import annotations

from typing import Final

from app.components.bundle import style

HTML: Final = '<button type="button" class="sparcode-add" hidden>Add to report</button>'
STYLE: Final = style(__file__)
