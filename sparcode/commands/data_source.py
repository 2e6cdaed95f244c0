"""The flags that say which data to use."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sparcode.commands.flags import OptionGroup, config_options, flag_name, option
from sparcode.commands.terminal import PlainFormatter, say
from sparcode.config import SplitConfig, SyntheticConfig
from sparcode.config_message import validation_message
from sparcode.data.evaluation_protocol import COLD_START, FIXED_SPLIT, STRONG, EvaluationProtocol
from sparcode.data.fetching import cached_archive
from sparcode.data.interactions import Interactions
from sparcode.data.loading import SYNTHETIC, Source, TrainTestFiles, describe, kind_of, kinds_with, load_split
from sparcode.data.published import PUBLISHED, published
from sparcode.data.split import Split
from sparcode.data.table_file import EXTENSIONS
from sparcode.data.tabular import ColumnMapping

# What each protocol of `SplitConfig` is given, for messages.
_NEEDS = {
    STRONG.name: "data of users with histories",
    FIXED_SPLIT.name: "--train FILE and --test FILE (tables of user_id and item_id), and no --data",
    COLD_START.name: "--data FOLDER with the files of Deezer's release",
}


@dataclass(frozen=True)
class DataSource:
    """Which data the flags ask for.

    Attributes
    ----------
    data
        ``synthetic``, the name of a published data set or a path; None if not given.
    train, test
        Files of a ready-made split.
    synthetic
        Field of `SyntheticConfig` -> value, those given.
    options
        Options of `sparcode.data.loading.load_split`, those given, by the flags that gave them.
    """

    data: str | None
    train: Path | None
    test: Path | None
    synthetic: Mapping[str, Any]
    options: Mapping[str, tuple[list[str], Any]]

    @property
    def source(self) -> Source:
        """The source for `sparcode.data.loading.load_split`; ValueError if flags conflict or a synthetic setting is out of bounds."""
        files = [self.train, self.test]
        has_files = files != [None, None]
        if self.synthetic and (has_files or self.data not in (None, SYNTHETIC)):
            flags = ", ".join(flag_name(f"synthetic_{field}") for field in self.synthetic)
            given = "a ready-made split" if has_files else repr(self.data)
            raise ValueError(f"{flags} can only be used with synthetic data; the data is {given}")
        if has_files:
            if self.data is not None or None in files:
                raise ValueError(f"a ready-made split needs {_NEEDS[FIXED_SPLIT.name]}")
            return TrainTestFiles(*files)
        if self.data not in (None, SYNTHETIC):
            return self.data
        try:
            return SyntheticConfig(**self.synthetic)
        except ValidationError as error:
            raise ValueError(f"synthetic data: {validation_message(error)}") from error

    @property
    def command_flags(self) -> str:
        """The flags again, as one types them; empty for the synthetic data as it is by default."""
        single = {"data": self.data, "train": self.train, "test": self.test}
        renamed = {"items_path": "items", "users_path": "users"}
        for name, (_, value) in self.options.items():
            if isinstance(value, dict):
                single |= {f"{column}_column": said for column, said in value.items()}
            else:
                single[renamed.get(name, name)] = value
        single |= {f"synthetic_{name}": value for name, value in self.synthetic.items()}
        words = [
            [flag_name(name)] if value is True else [flag_name(name), str(value)] for name, value in single.items() if value is not None
        ]
        return shlex.join(word for pair in words for word in pair)

    @property
    def is_synthetic(self) -> bool:
        """Whether this is the planted catalogue."""
        return isinstance(self.source, SyntheticConfig)

    @property
    def default_protocol(self) -> EvaluationProtocol:
        """The protocol where none is asked for: that of the data."""
        return kind_of(self.source).protocol

    def load_split(self, config: SplitConfig, quiet: bool) -> tuple[Interactions, Split]:
        """Load and split the data; `quiet` suppresses notes on columns and downloads.

        Errors as in `sparcode.data.loading.load_split`; OSError if a download fails.
        """
        source = self.source
        kind = kind_of(source)
        if kind.protocol.name != config.protocol:
            needs = _NEEDS[config.protocol]
            given = f"{describe(source, kind)}, which goes with protocol {kind.protocol.name}"
            raise ValueError(f"protocol {config.protocol} needs {needs}; the data is {given}")
        for name, (flags, _) in self.options.items():
            if name not in kind.options:
                raise ValueError(f"{', '.join(flags)} can only be used with {kinds_with(name)}; the data is {describe(source, kind)}")
        if "accept_terms" in self.options and "download" not in self.options:
            raise ValueError("--accept-terms goes with --download")
        if isinstance(source, str) and source in PUBLISHED:
            self._check_download(source)
        with _notes_on_stderr(quiet):
            return load_split(source, config, progress=not quiet, **{name: value for name, (_, value) in self.options.items()})

    def _check_download(self, name: str) -> None:
        """ValueError unless a published data set is here, or may be fetched; shows its terms where they are not accepted."""
        if cached_archive(name):
            return
        dataset = published(name)
        if "download" not in self.options:
            raise ValueError(
                f"{dataset.title} is not on this computer; add --download --accept-terms to fetch it ({dataset.address}), "
                "or give the path of the archive"
            )
        if "accept_terms" not in self.options:
            say(dataset.terms, err=True)
            raise ValueError(f"{dataset.title} ({dataset.address}) is only downloaded after you accept these terms: add --accept-terms")


def build_source(data: str | None, train: Path | None, test: Path | None, **flags: Any) -> DataSource:
    """The flags' values as a `DataSource`."""
    columns, synthetic = (
        {name: flags.pop(pattern.format(name)) for name in model.model_fields}
        for model, pattern in ((ColumnMapping, "{}_column"), (SyntheticConfig, "synthetic_{}"))
    )
    columns, synthetic = ({name: value for name, value in given.items() if value is not None} for given in (columns, synthetic))
    renamed = {"items": "items_path", "users": "users_path"}
    options = {
        renamed.get(name, name): ([flag_name(name)], value) for name, value in flags.items() if value is not None and value is not False
    }
    if columns:
        options["columns"] = ([flag_name(f"{field}_column") for field in columns], columns)
    return DataSource(data, train, test, synthetic, options)


@contextmanager
def _notes_on_stderr(quiet: bool) -> Iterator[None]:
    """Show what the readers log, such as the columns taken."""
    logger, handler = logging.getLogger("sparcode.data"), logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainFormatter())
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
            f"{SYNTHETIC} (the default), {', '.join(PUBLISHED)}, a MovieLens or goodbooks .zip or folder, "
            f"a table ({', '.join(EXTENSIONS)}), a folder of Parquet files, or the folder of Deezer's cold-start release.",
            _PANEL,
        ),
        option("items", Path | None, "Table of item ids, titles and genres, beside a table of interactions.", _PANEL, metavar="FILE"),
        option(
            "users", Path | None, "Table of user ids and what is known of users, beside a table of interactions.", _PANEL, metavar="FILE"
        ),
        option("min_rating", float | None, "Keep ratings of at least this; by default every row counts.", _PANEL),
        option("download", bool, "Fetch the published data named by --data, if it is not here yet.", _PANEL, default=False),
        option("accept_terms", bool, "You have read and accept the terms of the data that is fetched.", _PANEL, default=False),
        option("train", Path | None, "Training pairs of a ready-made split: a table of user_id and item_id.", _PANEL, metavar="FILE"),
        option("test", Path | None, "Its test pairs, in a table of the same kind.", _PANEL, metavar="FILE"),
        option("embedding", str | None, "Vectors and features of Deezer's release (default svd).", _PANEL, metavar="svd|mf"),
        *config_options(ColumnMapping, "Columns of a table; one that is not named here is told from its name", "{}_column"),
        *config_options(SyntheticConfig, "Synthetic data", "synthetic_{}"),
    ),
    build=build_source,
)
