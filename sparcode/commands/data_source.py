"""The flags that say which data to use."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError

from sparcode.commands.option_groups import OptionGroup, config_options, option
from sparcode.config import SplitConfig, SyntheticConfig
from sparcode.config_message import validation_message
from sparcode.data import movielens
from sparcode.data.deezer import SONGS, is_release
from sparcode.data.deezer_split import read_deezer_split
from sparcode.data.evaluation_protocol import COLD_START, FIXED_SPLIT, STRONG, EvaluationProtocol
from sparcode.data.fixed_split import read_fixed_split
from sparcode.data.interactions import Interactions
from sparcode.data.loading import load
from sparcode.data.split import Split, split_users
from sparcode.data.table_file import EXTENSIONS
from sparcode.data.tabular import COMMON_NAMES, ColumnMapping, guess_columns, table_columns

SYNTHETIC = "synthetic"
K_HELP = "Items retrieved per query (default 50; 20 with --protocol fixed-split, as its published tables have it)."
_COLUMN, _SYNTHETIC = "{}_column", "synthetic_{}"


@dataclass(frozen=True)
class DataSource:
    """Which data, as the flags say it.

    Attributes
    ----------
    data
        ``synthetic``, the name of a MovieLens set or a path; None if not given.
    items, users
        Tables of items and of users beside a table of interactions.
    min_rating
        Keep ratings of at least this.
    download, accept_terms
        Fetch MovieLens, and agreement with its terms.
    columns
        Field of `ColumnMapping` -> column, those given.
    train, test
        Files of a ready-made split.
    embedding
        Which vectors and features of Deezer's release: ``svd`` or ``mf``; None if not given.
    synthetic
        Field of `SyntheticConfig` -> value, those given.
    """

    data: str | None
    items: Path | None
    users: Path | None
    min_rating: float | None
    download: bool
    accept_terms: bool
    columns: Mapping[str, str]
    train: Path | None
    test: Path | None
    embedding: str | None
    synthetic: Mapping[str, Any]

    @property
    def is_synthetic(self) -> bool:
        """Whether this is the planted catalogue."""
        return self.data in (None, SYNTHETIC) and self.train is None and self.test is None

    @property
    def is_deezer(self) -> bool:
        """Whether this is a folder of Deezer's cold-start release."""
        return self.data is not None and is_release(self.data)

    @property
    def default_protocol(self) -> EvaluationProtocol:
        """The protocol where none is asked for."""
        return COLD_START if self.is_deezer else STRONG

    def load_split(self, config: SplitConfig, quiet: bool) -> tuple[Interactions, Split]:
        """Load the data and split it as the protocol says.

        Parameters
        ----------
        config
            Protocol, shares and seed.
        quiet
            As for `load`.

        Raises
        ------
        ValueError
            As for `load`, or if the flags do not go with the protocol, or the data cannot be split.
        OSError
            If a download fails.
        """
        files = [self.train, self.test]
        if config.protocol == COLD_START.name:
            return self._load_deezer(files)
        if config.protocol == FIXED_SPLIT.name:
            if self.data is not None or None in files:
                raise ValueError("--protocol fixed-split needs --train FILE and --test FILE (Parquet: user_id, item_id), and no --data")
            self._check_flags_apply("")
            return read_fixed_split(*files, config)
        if files != [None, None]:
            raise ValueError(f"--train and --test go with --protocol fixed-split; the protocol is {config.protocol!r}")
        if self.is_deezer:
            raise ValueError(
                f"--protocol {config.protocol}: {self.data} is Deezer's release, whose users have no history to split; "
                "allowed is cold-start, which it gets where nothing is said"
            )
        data = self.load(quiet)
        return data, split_users(data, config)

    def _load_deezer(self, files: list[Path | None]) -> tuple[Interactions, Split]:
        if not self.is_deezer or files != [None, None]:
            raise ValueError(
                f"--protocol cold-start needs --data FOLDER with the files of Deezer's release ({SONGS} and others) and nothing else; "
                f"the data is {self.data or SYNTHETIC!r}"
            )
        self._check_flags_apply(str(self.data))
        return read_deezer_split(str(self.data), self.embedding or "svd")

    def load(self, quiet: bool) -> Interactions:
        """Load the data; the synthetic default if `data` is None.

        Parameters
        ----------
        quiet
            Say nothing on standard error about the columns taken or a download.

        Raises
        ------
        ValueError
            If the data is not there, cannot be read, or a flag does not apply to it.
        OSError
            If a download fails.
        """
        name = self.data or SYNTHETIC
        self._check_flags_apply(name)
        source: str | SyntheticConfig = self._synthetic_config() if name == SYNTHETIC else name
        if name in movielens.DATASETS:
            self._fetch(name, quiet)
        columns = self._mapping(name) if self.columns else None
        with _notes_on_stderr(quiet):
            return load(source, columns=columns, items_path=self.items, users_path=self.users, min_rating=self.min_rating)

    def _check_flags_apply(self, name: str) -> None:
        is_table = Path(name).suffix.lower() in EXTENSIONS
        is_rated = name not in (SYNTHETIC, "") and not self.is_deezer
        kinds = {
            "synthetic data": (name == SYNTHETIC, [_SYNTHETIC.format(field) for field in self.synthetic]),
            "MovieLens and tables": (is_rated, ["min_rating"] if self.min_rating is not None else []),
            f"tables ({', '.join(EXTENSIONS)})": (
                is_table,
                [*(_COLUMN.format(field) for field in self.columns), *(name for name in ("items", "users") if getattr(self, name))],
            ),
            "Deezer's release": (self.is_deezer, ["embedding"] if self.embedding else []),
            f"the downloads {' and '.join(movielens.DATASETS)}": (name in movielens.DATASETS, ["download"] if self.download else []),
        }
        for kind, (applies, flags) in kinds.items():
            if flags and not applies:
                given = ", ".join(f"--{flag.replace('_', '-')}" for flag in flags)
                raise ValueError(f"{given} can only be used with {kind}; the data is {repr(name) if name else 'a ready-made split'}")

    def _synthetic_config(self) -> SyntheticConfig:
        try:
            return SyntheticConfig(**self.synthetic)
        except ValidationError as error:
            raise ValueError(f"synthetic data: {validation_message(error)}") from error

    def _fetch(self, name: str, quiet: bool) -> None:
        if movielens.cached_archive(name):
            return
        dataset = movielens.DATASETS[name]
        size = f"{dataset.size_bytes / 1e6:.1f} MB from {dataset.url}"
        if not self.download:
            raise ValueError(
                f"{dataset.title} is not on this computer; add --download --accept-terms to fetch it ({size}), "
                "or give the path of the archive"
            )
        if not self.accept_terms:
            typer.echo(movielens.TERMS, err=True)
            raise ValueError(f"{dataset.title} ({size}) is only downloaded after you accept these terms: add --accept-terms")
        movielens.download(name, accept_terms=True, progress=not quiet)

    def _mapping(self, path: str) -> ColumnMapping:
        """Columns given by flags, the others by their names."""
        others = [column for column in table_columns(path) if column not in self.columns.values()]
        # A field given by a flag needs no guess; a name that is always recognised takes its place.
        stand_ins = [COMMON_NAMES[field][0] for field in ("user", "item") if field in self.columns]
        guessed = guess_columns([*stand_ins, *others]).model_dump()
        if self.items is not None:
            guessed |= {"title": None, "genres": None}
        try:
            return ColumnMapping(**{**guessed, **self.columns})
        except ValidationError as error:
            raise ValueError(validation_message(error)) from error


def build_source(**flags: Any) -> DataSource:
    """The flags' values as a `DataSource`."""
    columns, synthetic = (
        {name: flags[pattern.format(name)] for name in model.model_fields if flags[pattern.format(name)] is not None}
        for model, pattern in ((ColumnMapping, _COLUMN), (SyntheticConfig, _SYNTHETIC))
    )
    given = {field.name: flags[field.name] for field in fields(DataSource) if field.name in flags}
    return DataSource(**given, columns=columns, synthetic=synthetic)


@contextmanager
def _notes_on_stderr(quiet: bool) -> Iterator[None]:
    """Show what the readers log, such as the columns taken."""
    logger, handler = logging.getLogger("sparcode.data"), logging.StreamHandler(sys.stderr)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


_PANEL = "Data"
DATA = OptionGroup(
    parameters=(
        option(
            "data",
            str | None,
            f"{SYNTHETIC} (the default), {', '.join(movielens.DATASETS)}, a MovieLens .zip or folder, "
            f"a table ({', '.join(EXTENSIONS)}), or the folder of Deezer's cold-start release.",
            _PANEL,
        ),
        option("items", Path | None, "Table of item ids, titles and genres, beside a table of interactions.", _PANEL, metavar="FILE"),
        option(
            "users", Path | None, "Table of user ids and what is known of users, beside a table of interactions.", _PANEL, metavar="FILE"
        ),
        option("min_rating", float | None, "Keep ratings of at least this; by default every row counts.", _PANEL),
        option("download", bool, "Fetch the MovieLens data named by --data, if it is not here yet.", _PANEL, default=False),
        option("accept_terms", bool, "You have read and accept the terms of the data that is fetched.", _PANEL, default=False),
        option("train", Path | None, "Training pairs of a ready-made split, with --protocol fixed-split.", _PANEL, metavar="FILE"),
        option("test", Path | None, "Test pairs of a ready-made split, with --protocol fixed-split.", _PANEL, metavar="FILE"),
        option("embedding", str | None, "Vectors and features of Deezer's release (default svd).", _PANEL, metavar="svd|mf"),
        *config_options(ColumnMapping, "Columns of a table; one that is not named here is told from its name", _COLUMN),
        *config_options(SyntheticConfig, "Synthetic data", _SYNTHETIC),
    ),
    build=build_source,
)
