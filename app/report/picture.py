"""Pictures of charts: drawn by the visitor's browser, so checked before they are kept."""

from __future__ import annotations

import base64
import binascii
import io
import re
import zlib
from typing import Final
from xml.etree import ElementTree

from PIL import Image

# In pixels of the page, as wide beside its height as the picture's place on a slide; charts are drawn at twice that.
WIDTH: Final = 800
HEIGHT: Final = 360
SCALE: Final = 2
PICTURE_BYTES: Final = 2 * 2**20
SVG_BYTES: Final = 4 * 2**20
_START: Final = "data:image/png;base64,"
# Plotly writes these; scripts, styles, links and foreign content are not among them.
_SVG: Final = "{http://www.w3.org/2000/svg}"
_SHAPES: Final = ("rect", "path", "line", "circle", "polygon", "text", "tspan", "image")
_FILLS: Final = ("linearGradient", "radialGradient", "stop", "pattern", "mask")
_ELEMENTS: Final = frozenset(("svg", "g", "defs", "clipPath", *_SHAPES, *_FILLS))
# A reference to something outside of the file, in a style or an attribute.
_OUTSIDE: Final = re.compile(r"""url\(\s*["']?(?!["'#])|//|\\|@import|expression\(""", re.IGNORECASE)


def checked_png(text: str) -> bytes:
    """A picture that a browser sent as a ``data:`` URL; nothing but a whole PNG of the expected size is taken.

    Raises
    ------
    ValueError
        If it is something else, has another size than `SCALE` times `WIDTH` x `HEIGHT`, or more than `PICTURE_BYTES` bytes.
    """
    if not isinstance(text, str) or not text.startswith(_START):
        raise ValueError(f"a picture must be text that begins with {_START}")
    if len(text) > len(_START) + 4 * PICTURE_BYTES // 3 + 4:
        raise ValueError(f"a picture may have {PICTURE_BYTES / 1e6:.1f} MB; this one has about {len(text) * 3 / 4 / 1e6:.1f} MB")
    try:
        content = base64.b64decode(text[len(_START) :], validate=True)
    except binascii.Error as error:
        raise ValueError(f"a picture must be valid base64: {error}") from error
    wanted = (SCALE * WIDTH, SCALE * HEIGHT)
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            # Before it is unpacked, which takes as much memory as the size says.
            if image.size != wanted:
                raise ValueError(f"a picture must have {wanted[0]} x {wanted[1]} pixels; got {image.size[0]} x {image.size[1]}")
            image.load()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"a picture must be a PNG: {error}") from error
    return content


def checked_svg(text: str) -> bytes:
    """A drawing that a browser sent as text, compressed; nothing but shapes, texts and PNGs inside one SVG of the expected size is taken.

    Raises
    ------
    ValueError
        If it is something else, refers to anything outside of itself, is not `WIDTH` x `HEIGHT`, or has more than `SVG_BYTES` bytes.
    """
    if not isinstance(text, str) or not text.startswith("<svg"):
        raise ValueError("a drawing must be text that begins with <svg")
    content = text.encode("utf-8", "replace")
    if len(content) > SVG_BYTES:
        raise ValueError(f"a drawing may have {SVG_BYTES / 1e6:.1f} MB; this one has {len(content) / 1e6:.1f} MB")
    # Before it is parsed: declarations may define texts that grow without bounds.
    if "<!" in text or "<?" in text:
        raise ValueError("a drawing must be elements alone, without comments, declarations and instructions")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise ValueError(f"a drawing must be well-formed SVG: {error}") from error
    if root.get("viewBox") != f"0 0 {WIDTH} {HEIGHT}":
        raise ValueError(f"a drawing must have the view box 0 0 {WIDTH} {HEIGHT}; got {root.get('viewBox', '')!r:.60}")
    for element in root.iter():
        _check_element(element)
    return zlib.compress(content)


def svg_text(drawing: bytes) -> str:
    """The text of a drawing that `checked_svg` took."""
    return zlib.decompress(drawing).decode("utf-8")


def _check_element(element: ElementTree.Element) -> None:
    if element.tag.removeprefix(_SVG) not in _ELEMENTS or not element.tag.startswith(_SVG):
        raise ValueError(f"a drawing must not hold the element {element.tag!r:.60}")
    for name, value in element.attrib.items():
        plain = name.rpartition("}")[2].lower()
        is_link = plain == "href"
        if plain.startswith("on") or (not value.startswith(("#", _START)) if is_link else _OUTSIDE.search(value)):
            raise ValueError(f"a drawing must not hold the attribute {name!r:.60} = {value!r:.60}")
