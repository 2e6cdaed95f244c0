from __future__ import annotations

import pytest

from app.charts.serving_points import latency_data
from app.measured.verdict import duel, verdict
from sparcode.comparison.measuring import UNTIMED
from sparcode.comparison.peers import (
    ALL_TO_ALL,
    COOCCURRENCE,
    EASE_NAME,
    FLAT,
    HNSW,
    IVF_FLAT,
    IVF_PQ,
    ROSTER,
    SPARCODE,
    BaselinePeer,
    searched,
)
from tests.app.charts.checked import serving_points_figure
from tests.fakes import raising, served

EXACT = served(FLAT, "", 0.5, 0.1, 1_000_000)
GRAPH = [served(HNSW, "efSearch 16", 0.4, 0.1, 2_000_000), served(HNSW, "efSearch 64", 0.5, 0.2, 2_000_000)]


def test_a_win_quotes_both_sides() -> None:
    read = verdict([served(SPARCODE, "5% of scores", 0.6, 0.1, 500_000), EXACT, *GRAPH])
    assert read.headline == "Against two-tower HNSW, SparCode wins on recall, speed and memory."
    assert read.at_most == "At its most accurate, SparCode finds more than two-tower at any setting."
    assert read.sentences[1] == (
        "**Two-tower HNSW** (efSearch 64: recall 0.500, 0.200 ms [0.190 to 0.210], 2.00 MB). SparCode, keeping 5% of scores, finds "
        "**more** (0.600, 120% of it; beyond the noise), is **2.0 times as fast** (0.100 ms [0.095 to 0.105])"
        " and takes **25% of the memory** (0.50 MB)."
    )


def test_a_loss_is_said_as_plainly() -> None:
    read = verdict([served(SPARCODE, "5% of scores", 0.4, 0.6, 40_000_000), EXACT, *GRAPH])
    assert read.headline == "Against two-tower HNSW, SparCode loses on recall, speed and memory."
    assert read.at_most == "Even at its most accurate, SparCode finds less than two-tower."
    assert "finds **less** (0.400, 80% of it; beyond the noise), takes **3.0 times as long**" in read.sentences[1]
    assert read.sentences[1].endswith("takes **20 times the memory** (40.00 MB).")


def test_what_noise_explains_is_a_tie() -> None:
    read = verdict([served(SPARCODE, "5% of scores", 0.501, 0.205, 2_040_000, spread=0.1), EXACT, *GRAPH])
    assert read.headline == "Against two-tower HNSW, SparCode cannot be told apart on recall, speed and memory."
    assert read.at_most.startswith("At their most accurate, noise does not tell")
    assert "finds 0.501, **within the noise** of it, is **as fast** within the noise" in read.sentences[1]
    assert "takes **about the same memory**" in read.sentences[1]


def test_wins_and_losses_stand_in_one_sentence() -> None:
    read = verdict([served(SPARCODE, "5% of scores", 0.6, 0.2, 4_000_000), EXACT, *GRAPH])
    assert read.headline == "Against two-tower HNSW, SparCode wins on recall, loses on memory and cannot be told apart on speed."


def test_the_most_recall_is_quoted_apart_from_what_suffices() -> None:
    ours = [served(SPARCODE, text, recall, 0.2) for text, recall in (("5% of scores", 0.5), ("20% of scores", 0.55))]
    read = verdict([*ours, EXACT, *GRAPH])
    assert read.headline == "Against two-tower HNSW, SparCode wins on memory and cannot be told apart on recall and speed."
    assert read.at_most == "At its most accurate, SparCode finds more than two-tower at any setting."
    assert read.sentences[-1] == (
        "**At most** recall is 0.500 with two-tower (two-tower Flat; 0.100 ms [0.095 to 0.105], 1.00 MB) and **0.550** with SparCode, "
        "110% of it, beyond the noise (keeping 20% of scores; 0.200 ms [0.190 to 0.210], 1.00 MB)."
    )


def test_settings_are_chosen_by_effort_not_by_the_clock() -> None:
    ours = [served(SPARCODE, text, recall, time) for text, recall, time in (("1%", 0.3, 0.1), ("5%", 0.5, 0.3), ("20%", 0.6, 0.2))]
    found = duel([*ours, EXACT, *GRAPH], HNSW)
    assert (found.ours.setting, found.theirs.setting) == ("5%", "efSearch 64")


def test_where_nothing_reaches_the_recall_the_best_of_its_own_stands_in() -> None:
    ours = [served(SPARCODE, text, recall, 0.1) for text, recall in (("1%", 0.3), ("5%", 0.399), ("20%", 0.4))]
    weak = [served(IVF_PQ, text, recall, 0.1) for text, recall in (("1 of 4", 0.2), ("4 of 4", 0.3))]
    assert duel([*ours, EXACT], FLAT).ours.setting == "5%"
    assert duel([*ours, EXACT, *weak], IVF_PQ).theirs.setting == "4 of 4"


def test_missing_peers_are_named_and_the_next_one_makes_the_headline() -> None:
    read = verdict([served(SPARCODE, "5% of scores", 0.6, 0.1), EXACT])
    assert read.headline.startswith("Against two-tower Flat, SparCode wins on recall")
    assert read.missing == (HNSW, IVF_FLAT, IVF_PQ, ALL_TO_ALL, EASE_NAME, COOCCURRENCE)
    assert len(read.sentences) == 2


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([], "SparCode is not measured yet"),
        ([EXACT], "SparCode is not measured yet"),
        ([served(SPARCODE, "5%", 0.5, 0.1)], "no peer is measured yet"),
        ([served(SPARCODE, "5%", 0.5, 0.1), EXACT._replace(p50_ms=UNTIMED, n_rounds=0)], "no peer is measured yet"),
    ],
)
def test_without_figures_there_is_no_verdict(points: list, says: str) -> None:
    read = verdict(points)
    assert says in read.headline
    assert read.sentences == ()


def test_the_all_to_all_model_is_a_peer_like_any_other() -> None:
    read = verdict([served(SPARCODE, "5% of scores", 0.45, 0.1), served(ALL_TO_ALL, "", 0.5, 1.0)])
    assert read.sentences[0].startswith("**All-to-all** (recall 0.500, 1.000 ms")
    assert "90% of it" in read.sentences[0]
    assert "**10 times as fast**" in read.sentences[0]


def test_a_peer_added_to_the_roster_is_in_the_list_the_charts_and_the_verdict() -> None:
    newcomer = BaselinePeer("a newcomer", "in closed form", raising(ValueError("not trained here")))
    peers = searched((*ROSTER, newcomer))
    assert [peer.name for peer in peers] == [SPARCODE, FLAT, HNSW, IVF_FLAT, IVF_PQ, ALL_TO_ALL, EASE_NAME, COOCCURRENCE, "a newcomer"]
    points = [served(peer.name, "", 0.5, 0.1) for peer in peers]
    drawn = serving_points_figure(latency_data(points), False).data
    assert len({(trace.line.color, trace.line.dash, trace.marker.symbol) for trace in drawn[1:]}) == len(peers)
    read = verdict(points, peers)
    assert read.sentences[-2].startswith("**A newcomer**")
    assert read.headline.startswith("Against two-tower HNSW")
    assert not read.missing
    assert verdict(points[:-1], peers).missing == ("a newcomer",)
