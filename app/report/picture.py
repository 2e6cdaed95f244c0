"""Pictures of charts: drawn by the visitor's browser, so checked before they are kept."""

from __future__ import annotations

import base64
import binascii
import io
from typing import Final

from PIL import Image

# In pixels of the page, as wide beside its height as the picture's place on a slide; charts are drawn at twice that.
WIDTH: Final = 800
HEIGHT: Final = 360
SCALE: Final = 2
PICTURE_BYTES: Final = 2 * 2**20
_START: Final = "data:image/png;base64,"


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
