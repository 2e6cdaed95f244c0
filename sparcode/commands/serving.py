"""The flags that say how a run's index is cut and served."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import typer
from pydantic import ValidationError

from sparcode.commands.flags import MAX_NUMBER, OptionGroup, config_options, option
from sparcode.config import IndexConfig, PostingsKind
from sparcode.config_message import validation_message

if TYPE_CHECKING:
    from sparcode.index.pruning import Cut
    from sparcode.runs.store import Run

PANEL = "Index"


class ServingFlags(NamedTuple):
    """Flags of the index; None: not given. At most one of `threshold`, `density` and `max_bytes` decides the threshold.

    `per_list` limits the postings of a list; `postings` is a layout instead of the run's own.
    """

    threshold: float | None = None
    density: float | None = None
    max_bytes: int | None = None
    per_list: int | None = None
    postings: PostingsKind | None = None

    def index_config(self, run: Run) -> IndexConfig:
        """The run's settings of its index, with the layout asked for."""
        return run.config.index if self.postings is None else run.config.index.model_copy(update={"postings": self.postings})

    def cut(self, run: Run) -> Cut:
        """What of the index counts: down to the threshold asked for, that of a density or a size, or the trained one.

        ValueError if the index does not hold what would be needed, or not even empty lists fit the size.
        """
        # Takes seconds to import; bad usage is answered before.
        from sparcode.index.pruning import FitBytes, GlobalThreshold, KeepDensity, TopPerList

        index = run.index
        if self.max_bytes is not None:
            return FitBytes(self.max_bytes, self.index_config(run).postings).cut(index)
        if self.density is not None:
            heads_end = run.model.first_list_code
            stored = index.below(heads_end).density(index.floor)
            if not 0 < self.density <= 1:
                raise ValueError(f"density={self.density}: must be above 0 and at most 1")
            # Ties at the floor may leave the index a little short of the share it was built for.
            if self.density > max(stored, run.config.index.floor_density):
                raise ValueError(f"density={self.density}: the index stores {stored:.4f} of the scores and cannot serve more")
            return KeepDensity(self.density, heads_end).cut(index)
        threshold = max(run.model.threshold, index.floor) if self.threshold is None else self.threshold
        if not index.floor <= threshold < float("inf"):
            raise ValueError(f"threshold={threshold}: the index stores scores above {index.floor:.6g} and cannot serve a lower threshold")
        rule = GlobalThreshold(threshold) if self.per_list is None else TopPerList(self.per_list, threshold)
        return rule.cut(index)


def build_serving(
    threshold: float | None, density: float | None, max_bytes: int | None, per_list: int | None, postings: str | None
) -> ServingFlags:
    """The flags' values, checked against each other.

    typer.BadParameter if several of them cut the index; ValueError if there is no such layout.
    """
    given = {"--threshold": threshold, "--density": density, "--max-bytes": max_bytes, "--per-list": per_list}
    given = [flag for flag, value in given.items() if value is not None]
    if len(given) > 1 and given != ["--threshold", "--per-list"]:
        words = "give one of --threshold, --density, --max-bytes and --per-list, or --threshold with --per-list"
        raise typer.BadParameter(f"{words}; got {' and '.join(given)}")
    if postings is not None:
        try:
            IndexConfig.model_validate({"postings": postings})
        except ValidationError as error:
            raise ValueError(validation_message(error)) from error
    return ServingFlags(threshold, density, max_bytes, per_list, postings)


SERVING = OptionGroup(
    parameters=(
        option("threshold", float | None, "Threshold to serve at; by default the trained one.", PANEL),
        option("density", float | None, "Share of scores to keep instead, of the heads' codes; sets the threshold.", PANEL),
        option(
            "max_bytes",
            int | None,
            "Bytes the index may take instead; sets the threshold. Lists computed while serving come on top.",
            PANEL,
            min=1,
            max=MAX_NUMBER,
        ),
        option(
            "per_list", int | None, "Scores to keep of each code, the highest; goes with --threshold too.", PANEL, min=1, max=MAX_NUMBER
        ),
        *config_options(IndexConfig, PANEL, without=set(IndexConfig.model_fields) - {"postings"}),
    ),
    build=build_serving,
)
