"""What every picture of a page needs: the page at rest, and few bytes."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image
from playwright.sync_api import Page

PATIENCE_MS: Final = 300_000
# A picture that still has too many bytes gets the next number of colours.
COLOURS: Final = (256, 128, 64)
MOST_BYTES: Final = 150_000


def at_rest(page: Page) -> None:
    """Wait until the script has ended and every chart is drawn."""
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']", timeout=PATIENCE_MS)
    page.wait_for_function("() => !document.querySelector('[data-testid=stSkeleton], [data-stale=true]')", timeout=PATIENCE_MS)
    for chart in (".sparcode-chart", ".sparcode-view-chart"):
        page.wait_for_function(f"() => !document.querySelector('{chart}:not([data-drawn])')", timeout=PATIENCE_MS)
    page.evaluate("() => document.fonts.ready.then(() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))))")


def reduced(png: bytes) -> bytes:
    """The picture with few colours: a quarter of the bytes, no visible difference."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in COLOURS:
        out = io.BytesIO()
        # By coverage of the colours there are, or small markers would take the colour of others.
        image.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() <= MOST_BYTES:
            break
    return out.getvalue()
