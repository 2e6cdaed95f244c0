"""Fine-tuning never ends below the preview it started from, and gains on average: over twenty settings of the quantizer."""

from __future__ import annotations

import itertools

import numpy as np

from sparcode.training.pipeline import fine_tune, preview
from sparcode.training.trainer import validation_recall
from tests.tiny import changed, tiny_backbone, tiny_split

SETTINGS = [
    {"n_codebooks": books, "codebook_size": size, "n_nearest": nearest, "codebook_update": update}
    for books, size, (nearest, update) in itertools.product((1, 2), (4, 6, 8, 12, 16), ((4, "gradient"), (1, "ema")))
]


def test_fine_tuning_keeps_or_lifts_the_preview() -> None:
    split, gains = tiny_split(), []
    for quantizer in SETTINGS:
        # Either teacher, ten times.
        config = changed(quantizer=quantizer, training={"joint_teacher": ("backbone", "ease")[len(gains) % 2]})
        model = preview(tiny_backbone(), split, config)
        before = validation_recall(model, split.validation)
        records = fine_tune(model, split, config)
        after = validation_recall(model, split.validation)
        assert records[0].recall == before, quantizer
        assert after == max(record.recall for record in records), quantizer
        gains.append(after - before)
    assert len(gains) == 20
    assert min(gains) >= 0
    assert np.mean(gains) > 0
