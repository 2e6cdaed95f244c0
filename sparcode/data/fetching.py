"""Fetches published archives into the user's cache folder, once, and only when asked to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pooch

from sparcode.data.published import published

DOWNLOAD_TIMEOUT_SECONDS = 30
# Environment variable for another place that has the archives, under the names they have at their publishers; checksums hold there, too.
MIRROR_VARIABLE: Final = "SPARCODE_MIRROR"
_BLOCK_BYTES: Final = 1 << 16


class _Told:
    """What `pooch` takes for a progress bar: tells the bytes so far, and in total (0: unknown)."""

    def __init__(self, on_progress: Callable[[int, int], None]) -> None:
        self._on_progress, self.total, self._done = on_progress, 0, 0

    def update(self, n_bytes: int) -> None:
        # The last block counts as a whole one.
        self._done = min(self._done + n_bytes, self.total or self._done + n_bytes)
        self._on_progress(self._done, self.total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        """Nothing to do."""


def cache_folder() -> Path:
    """Where fetched archives are; a copy from elsewhere may be put there as ``NAME.zip``."""
    return Path(pooch.os_cache("sparcode"))


def cached_archive(name: str) -> Path | None:
    """The archive of a name that was fetched or put there earlier, or None; a ValueError for a name that is not published."""
    published(name)
    path = cache_folder() / f"{name}.zip"
    return path if path.is_file() else None


def is_published(path: Path, name: str) -> bool:
    """Whether a file has the published checksum of a data set; reads all of it."""
    algorithm, _, digits = published(name).checksum.partition(":")
    return pooch.file_hash(str(path), alg=algorithm) == digits


def download(
    name: str,
    accept_terms: bool = False,
    *,
    url: str | None = None,
    expected_checksum: str | None = None,
    progress: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Fetch a published archive into the user's cache folder unless it is there already; a broken download leaves nothing.

    ValueError if the name or checksum is wrong or the terms (in the message) are not accepted; OSError if the download fails.

    Parameters
    ----------
    accept_terms
        Whether the user has read its terms and agrees; show them first.
    url, expected_checksum
        Another address, and the ``algorithm:hexadecimal digits`` of its file; by default the publisher's, or the mirror's that
        the environment names.
    progress
        Whether to draw a progress bar on standard error.
    on_progress
        Takes the bytes so far and in total (0: unknown) in place of a bar; what it raises ends the download.
    """
    wanted = published(name)
    if not accept_terms:
        raise ValueError(f"{wanted.title} is only downloaded after its terms are accepted (accept_terms=True).\n{wanted.terms}")
    address = url or _address(wanted.url)
    shown = progress if on_progress is None else _Told(on_progress)
    try:
        path = pooch.retrieve(
            url=address,
            known_hash=expected_checksum or wanted.checksum,
            fname=f"{name}.zip",
            path=cache_folder(),
            downloader=pooch.HTTPDownloader(progressbar=shown, chunk_size=_BLOCK_BYTES, timeout=DOWNLOAD_TIMEOUT_SECONDS),
        )
    except OSError as error:  # requests' own errors are OSErrors too
        raise OSError(f"could not download {wanted.title} from {address}: {error}") from error
    except ValueError as error:
        raise ValueError(f"the file at {address} is not the expected {wanted.title} archive: {error}") from error
    return Path(path)


def _address(url: str) -> str:
    mirror = os.environ.get(MIRROR_VARIABLE)
    return f"{mirror.rstrip('/')}/{url.rpartition('/')[2]}" if mirror else url
