from __future__ import annotations

from app.compare.panel import serving_comparison
from app.components.page_header import page_header

page_header("Compare")
serving_comparison()
