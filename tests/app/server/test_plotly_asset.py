"""Plotly's bundles: which one draws what, and that the copy in `assets` is the one that npm pins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.server.plotly_asset import BASIC, WHOLE, bundle_for, trace_types


def test_the_basic_bundle_is_the_release_that_npm_pins_with_its_licence(repository: Path) -> None:
    head = BASIC.path.read_text(encoding="utf-8")[:200]
    assert f"plotly.js (basic - minified) v{BASIC.release}" in head
    assert "MIT license" in head
    pinned = json.loads((repository / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    assert pinned["plotly.js-basic-dist-min"] == BASIC.release


def test_both_bundles_are_of_one_major_release() -> None:
    assert f"plotly.js v{BASIC.release.partition('.')[0]}." in WHOLE.path.read_text(encoding="utf-8")[:200]


@pytest.mark.parametrize(("types", "bundle"), [([], BASIC), (["scatter", "bar"], BASIC), (["bar", "heatmap"], WHOLE)])
def test_a_figure_gets_the_smallest_bundle_that_draws_it(types: list[str], bundle: object) -> None:
    assert bundle_for(types) is bundle
    assert bundle_for(trace_types(json.dumps({"data": [{"type": kind} for kind in types]}))) is bundle


def test_a_trace_without_a_type_is_a_scatter_as_plotly_has_it() -> None:
    assert trace_types(json.dumps({"data": [{"y": [1]}]})) == {"scatter"}
