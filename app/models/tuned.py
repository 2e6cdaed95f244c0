"""Fine-tuned models within a limit of memory: those trained here, and recorded ones where nothing was trained here."""

from __future__ import annotations

from app.jobs.bounded_cache import BoundedCache
from app.models.trained import Tuned
from app.recorded.runs import RecordedRuns
from sparcode.config import RunConfig


class TunedModels:
    """Fine-tuned models by their settings. Safe to share between threads.

    Parameters
    ----------
    recorded
        Asked for what was not trained here.
    max_bytes
        Weights kept; the model unused longest is forgotten first.
    """

    def __init__(self, recorded: RecordedRuns, max_bytes: int) -> None:
        self._recorded = recorded
        self._kept = BoundedCache(max_bytes)

    def of(self, config: RunConfig) -> Tuned | None:
        """The model of a setting; None if there is none (any more)."""
        known = self._kept.get(config.content_hash())
        if known is None and (known := self._recorded.tuned(config)) is not None:
            self.put(config, known)
        return known

    def put(self, config: RunConfig, tuned: Tuned) -> None:
        """Keep a model, in place of an earlier one of that setting."""
        self._kept.put(config.content_hash(), tuned, sum(value.nbytes for value in tuned.model.state_dict().values()))

    def discard(self, config: RunConfig) -> None:
        """Forget the model of a setting, the recorded one too, so that it is trained here."""
        self._recorded.set_aside(config)
        self._kept.discard(config.content_hash())
