"""Load any kind of data; a new kind is its reader and one row of `KINDS`."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from sparcode.config import SplitConfig, SyntheticConfig
from sparcode.data import movielens
from sparcode.data.deezer import is_release
from sparcode.data.deezer_split import read_deezer_split
from sparcode.data.evaluation_protocol import COLD_START, FIXED_SPLIT, STRONG, EvaluationProtocol
from sparcode.data.fetching import cached_archive, download
from sparcode.data.fixed_split import read_fixed_split
from sparcode.data.folder_interactions import read_parquet_folder
from sparcode.data.goodbooks import is_goodbooks, read_goodbooks
from sparcode.data.interactions import Interactions
from sparcode.data.limits import OWN_FILES, Limits
from sparcode.data.parquet_folder import holds_parquet
from sparcode.data.published import PUBLISHED, published
from sparcode.data.split import Split, split_users
from sparcode.data.synthetic import generate
from sparcode.data.table_file import EXTENSIONS
from sparcode.data.tabular import ColumnMapping, read_table

SYNTHETIC = "synthetic"


class TrainTestFiles(NamedTuple):
    """The two files of a ready-made split."""

    train: Path
    test: Path


Source = str | Path | BinaryIO | SyntheticConfig | TrainTestFiles


@dataclass(frozen=True)
class Options:
    """Options that apply to some kinds of data; None or false: not given.

    Attributes
    ----------
    columns, items_path, users_path, name
        See `read_table`; `name` also applies to an open archive.
    min_rating
        Keep ratings of at least this.
    download, accept_terms
        Fetch a published data set if it is not in the cache; the caller shows its terms and asks first.
    embedding
        Vectors and features of Deezer's release: ``svd`` (the default) or ``mf``.
    progress
        Draw progress bars on standard error; applies to every kind.
    limits
        How much of a file is read; applies to every kind.
    """

    columns: ColumnMapping | Mapping[str, str] | None = None
    items_path: str | Path | BinaryIO | None = None
    users_path: str | Path | BinaryIO | None = None
    min_rating: float | None = None
    name: str | None = None
    download: bool = False
    accept_terms: bool = False
    embedding: str | None = None
    progress: bool = True
    limits: Limits = OWN_FILES

    @property
    def given(self) -> list[str]:
        """Names of the options that are set, except those that apply to every kind."""
        said = {option.name: getattr(self, option.name) for option in fields(self) if option.name not in ("progress", "limits")}
        return [name for name, value in said.items() if value is not None and value is not False]


class Kind(NamedTuple):
    """A kind of data, with the `Options` that apply to it.

    `label` reads on from "the data is". `recognises` takes a source and the name given with an open file; `read` returns the data, with its
    split where the kind has its own `protocol`. `extensions` are those of files that may be given open, such as uploads.
    """

    label: str
    recognises: Callable[[Any, str | None], bool]
    read: Callable[[Any, Options, SplitConfig], Any]
    options: frozenset[str] = frozenset()
    extensions: tuple[str, ...] = ()
    protocol: EvaluationProtocol = STRONG


# The first kind that recognises a source reads it.
KINDS = (
    Kind("synthetic data", lambda source, _: isinstance(source, SyntheticConfig), lambda source, *_: generate(source)),
    Kind(
        "a ready-made split",
        lambda source, _: isinstance(source, TrainTestFiles),
        lambda source, options, config: read_fixed_split(*source, config, options.limits),
        protocol=FIXED_SPLIT,
    ),
    Kind(
        f"a published data set by name ({', '.join(PUBLISHED)})",
        lambda source, _: isinstance(source, str) and source in PUBLISHED,
        lambda source, options, _: _read_archive(_archive(source, options), options),
        frozenset({"min_rating", "download", "accept_terms"}),
    ),
    Kind(
        "Deezer's release",
        lambda source, _: isinstance(source, str | Path) and is_release(source),
        lambda source, options, _: read_deezer_split(source, options.embedding or "svd", options.limits),
        frozenset({"embedding"}),
        protocol=COLD_START,
    ),
    Kind(
        "a folder of Parquet files",
        lambda source, _: _is_parquet_folder(source),
        lambda source, options, _: read_parquet_folder(
            source, options.columns, options.items_path, options.min_rating, options.users_path, options.limits
        ),
        frozenset({"columns", "items_path", "users_path", "min_rating"}),
    ),
    Kind(
        "a MovieLens or goodbooks archive or folder",
        lambda source, name: _is_archive(source, name),
        lambda source, options, _: _read_archive(source, options),
        frozenset({"min_rating", "name"}),
        (".zip",),
    ),
    Kind(
        f"a table ({', '.join(EXTENSIONS)})",
        lambda *_: True,
        lambda source, options, _: read_table(
            source, options.columns, options.items_path, options.min_rating, options.name, options.users_path, options.limits
        ),
        frozenset({"columns", "items_path", "users_path", "min_rating", "name"}),
        EXTENSIONS,
    ),
)
FILE_EXTENSIONS = tuple(extension for kind in KINDS for extension in kind.extensions)


def load(source: Source | None = None, **options: Any) -> Interactions:
    """Load a data set.

    ValueError if the source is none of these or cannot be read, an option does not apply to it, the data has a split of its own (use
    `load_split`), or a download was not asked for or its terms not accepted. OSError if a download fails.

    Parameters
    ----------
    source
        - None or ``'synthetic'``: the synthetic data with default settings; a `SyntheticConfig`: with those.
        - ``'ml-100k'``, ``'ml-1m'``, ``'ml-10m'``, ``'goodbooks'``: a published data set, cached or downloaded if
          allowed (``'./ml-100k'`` is a folder of that name).
        - the path of a folder of ``.parquet`` files, read lazily (`sparcode.data.folder_interactions`).
        - a path or an open binary file: a MovieLens or goodbooks ``.zip`` (recognised by content) or folder, else a table by its extension.
    **options
        Fields of `Options`.
    """
    source, kind, given = _prepared(source, options)
    if kind.protocol != STRONG:
        raise ValueError(f"{describe(source, kind)}, comes with its own split; use load_split")
    return kind.read(source, given, SplitConfig())


def load_split(source: Source | None, config: SplitConfig, **options: Any) -> tuple[Interactions, Split]:
    """Load a data set and split it by the protocol of `config`; options as for `load`.

    The source may also be `TrainTestFiles` (protocol ``fixed-split``) or the folder of Deezer's release (``cold-start``). Errors as for
    `load`; also ValueError if the protocol is not that of the data, or it cannot be split.
    """
    source, kind, given = _prepared(source, options)
    if kind.protocol.name != config.protocol:
        raise ValueError(f"protocol {config.protocol} does not go with {describe(source, kind)}, whose protocol is {kind.protocol.name}")
    loaded = kind.read(source, given, config)
    return (loaded, split_users(loaded, config)) if kind.protocol == STRONG else loaded


def kind_of(source: Source | None, name: str | None = None) -> Kind:
    """The kind of data of a source; ValueError if there is no such file or folder."""
    source = _full(source)
    if isinstance(source, str | Path) and source not in PUBLISHED and not Path(source).exists():
        raise ValueError(f"unknown data {str(source)!r}: there is no such file or folder; allowed are {_allowed()}")
    if not isinstance(source, str | Path | SyntheticConfig | TrainTestFiles) and not hasattr(source, "read"):
        raise ValueError(f"unknown data {source!r}; allowed are {_allowed()}")
    return next(kind for kind in KINDS if kind.recognises(source, name))


def kinds_with(option: str) -> str:
    """Labels of the kinds that an option applies to, for messages."""
    return " or ".join(kind.label for kind in KINDS if option in kind.options)


def describe(source: Source | None, kind: Kind) -> str:
    """A source by its files, if it names any, and its kind."""
    files = source if isinstance(source, TrainTestFiles) else [source] if isinstance(source, str | Path) and source != SYNTHETIC else []
    return ", ".join(part for part in (" and ".join(repr(str(file)) for file in files), kind.label) if part)


def _prepared(source: Source | None, options: Mapping[str, Any]) -> tuple[Source, Kind, Options]:
    given = Options(**options)
    kind = kind_of(source, given.name)
    if unused := [name for name in given.given if name not in kind.options]:
        raise ValueError(f"{', '.join(unused)} cannot be used with {kind.label}")
    return _full(source), kind, given


def _full(source: Source | None) -> Source:
    return SyntheticConfig() if source is None or source == SYNTHETIC else source


def _allowed() -> str:
    names = ", ".join(repr(name) for name in (SYNTHETIC, *PUBLISHED))
    tables = ", ".join(EXTENSIONS)
    return (
        f"{names}, the path of a MovieLens or goodbooks .zip or its folder, of a folder of Parquet files, or the path of a table ({tables})"
    )


def _archive(name: str, options: Options) -> Path:
    if cached := cached_archive(name):
        return cached
    wanted = published(name)
    if not options.download:
        raise ValueError(
            f"{wanted.title} is not on this computer yet. Ask for the download (download=True, accept_terms=True; {wanted.address}), "
            f"or give the path of the archive.\n{wanted.terms}"
        )
    return download(name, options.accept_terms, progress=options.progress)


def _read_archive(source: str | Path | BinaryIO, options: Options) -> Interactions:
    read = read_goodbooks if is_goodbooks(source, options.limits) else movielens.read_movielens
    return read(source, options.min_rating, options.limits)


def _is_parquet_folder(source: str | Path | BinaryIO) -> bool:
    if not isinstance(source, str | Path) or not (folder := Path(source)).is_dir():
        return False
    return holds_parquet(folder) and not (movielens.holds_ratings(folder) or is_goodbooks(folder))


def _is_archive(source: str | Path | BinaryIO, name: str | None) -> bool:
    if isinstance(source, str | Path) and Path(source).is_dir():
        return True
    extension = Path(name or (str(source) if isinstance(source, str | Path) else str(getattr(source, "name", "")))).suffix.lower()
    return extension not in EXTENSIONS and (extension == ".zip" or zipfile.is_zipfile(source))
