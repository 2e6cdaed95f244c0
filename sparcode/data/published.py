"""Data sets that are fetched by name: where their publishers have them, how the file is told from others, and on which terms."""

from __future__ import annotations

from typing import NamedTuple

MOVIELENS_TERMS = """The MovieLens data sets belong to GroupLens (University of Minnesota), who lend them for research under these terms:
- use them for research; do not suggest that the university or GroupLens endorses you or your results;
- do not pass the data on to others without separate permission;
- no commercial or revenue-bearing use without permission from GroupLens;
- cite F. Maxwell Harper and Joseph A. Konstan (2015), The MovieLens Datasets: History and Context,
  ACM Transactions on Interactive Intelligent Systems 5(4), article 19, doi:10.1145/2827872.
The README inside the archive holds the full and binding text."""
GOODBOOKS_TERMS = """goodbooks-10k was collected by Zygmunt Zajac (2017, github.com/zygmuntz/goodbooks-10k) under the licence CC BY-SA 4.0:
- name the source, the licence and what you changed;
- pass on what you make of the data under the same licence.
The licence's own text is binding: creativecommons.org/licenses/by-sa/4.0"""


class Published(NamedTuple):
    """A published archive: its title, address, ``algorithm:hexadecimal digits`` of its content, and terms.

    `size_bytes` is 0 where the publisher does not tell it.
    """

    title: str
    url: str
    checksum: str
    size_bytes: int
    terms: str

    @property
    def address(self) -> str:
        """Size, where it is known, and URL of the download, in words."""
        return f"{self.size_bytes / 1e6:.1f} MB from {self.url}" if self.size_bytes else self.url


_GROUPLENS = "https://files.grouplens.org/datasets/movielens"
PUBLISHED = {
    "ml-100k": Published("MovieLens 100K", f"{_GROUPLENS}/ml-100k.zip", "md5:0e33842e24a9c977be4e0107933c0723", 4_924_029, MOVIELENS_TERMS),
    "ml-1m": Published(
        "MovieLens 1M",
        f"{_GROUPLENS}/ml-1m.zip",
        "sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
        5_917_549,
        MOVIELENS_TERMS,
    ),
    "ml-10m": Published("MovieLens 10M", f"{_GROUPLENS}/ml-10m.zip", "md5:ce571fd55effeba0271552578f2648bd", 65_566_137, MOVIELENS_TERMS),
    "goodbooks": Published(
        "goodbooks-10k",
        "https://github.com/zygmuntz/goodbooks-10k/releases/download/v1.0/goodbooks-10k.zip",
        "sha256:261b97b56db61f3fb2ce5aadbb13704d30179fcc986c17ace665a0af9ed00731",
        0,
        GOODBOOKS_TERMS,
    ),
}


def published(name: str) -> Published:
    """The data set of a name; ValueError, with the known ones, if there is none."""
    if name not in PUBLISHED:
        raise ValueError(f"unknown data set {name!r}; known: {', '.join(PUBLISHED)}")
    return PUBLISHED[name]
