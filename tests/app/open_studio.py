"""A studio on tiny data, and waiting for what goes on in it."""

from __future__ import annotations

from app.jobs.job import JobSnapshot
from app.measured.setting_jobs import View
from app.studio import Studio
from sparcode.config import RunConfig

# Only a broken studio lets a wait take this long.
PATIENCE = 30


def ended(studio: Studio, key: str) -> JobSnapshot:
    """The job once it is over."""
    job = studio.jobs.wait(key, lambda snapshot: False, PATIENCE)
    assert job is not None
    assert not job.active
    return job


def looked_at(studio: Studio, config: RunConfig, owner: str = "ann") -> View:
    """What a page shows that waits for the first figures."""
    return studio.setting_jobs.follow(config, owner, PATIENCE)


def settled(studio: Studio, config: RunConfig, owner: str = "ann") -> View:
    """The view once nothing of it changes any more, as a page that looks again and again sees it."""
    for _ in range(20):
        view = looked_at(studio, config, owner)
        if not view.active:
            return view
        for job in (view.waiting, view.tuning):
            if job is not None and job.active:
                ended(studio, job.key)
    raise AssertionError("the view does not come to rest")
