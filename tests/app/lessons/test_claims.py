"""Every claim on planted figures: where it must hold, and where the lesson must refuse it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from app.lessons import (
    codebook_health,
    codebook_sizes,
    interaction_gain,
    interaction_types,
    query_costs,
    shared_lists,
    sparse_scores,
    sparsity_knee,
    two_limits,
    whole_method,
)
from app.lessons.lessons import LESSONS, lesson_of
from app.lessons.reading import Row, gain_text, line, named, outcome
from sparcode.comparison.peers import ALL_TO_ALL, FLAT, HNSW, SPARCODE, TWO_TOWER

BIG, NOISY = {"gain": 0.05, "error": 0.01}, {"gain": 0.01, "error": 0.01}


def whole(recall: float = 0.55, uncut: float = 0.58, ms: float = 0.1, same: float = 1.0, n_bytes: float = 5e5) -> list[Row]:
    return [
        Row(whole_method.NO_CODES, {"recall": 0.6, "ms": 2.0, "bytes": 3e3}),
        Row(whole_method.NO_CUT, {"recall": uncut, "ms": 0.2, "bytes": 2.5e6}),
        Row(whole_method.WHOLE, {"recall": recall, "ms": ms, "bytes": n_bytes, "same": same}),
    ]


def limits(
    without: float = 0.0, planted: float = 0.06, error: float = 0.01, found: float = 0.98, ours: float = 1.0, uncut: float = 0.9
) -> list[Row]:
    def pair(share: float, gain: float) -> list[Row]:
        beside = {"planted": share, "gain": gain, "error": error}
        return [Row(TWO_TOWER, {"recall": 0.5, **beside}), Row(ALL_TO_ALL, {"recall": 0.5 + gain, **beside})]

    shares = {HNSW: found, SPARCODE: ours, two_limits.UNCUT: uncut}
    served = [Row(name, {"found": share, "items": 1e4, "times": 16.0}) for name, share in shares.items()]
    return [*pair(0.0, without), *pair(0.5, planted), *served]


def lists(codes: Sequence[float] = (100, 150, 160), ready: float = 0.99, of_tokens: float = 0.0) -> list[Row]:
    users = (100, 200, 400)
    rows = []
    for n_users, n_codes in zip(users, codes, strict=True):
        at = {"users": n_users}
        rows.append(Row(shared_lists.TOKENS, {**at, "lists": 4 * n_users, "bytes": 4e4 * n_users, "ready": of_tokens}))
        rows.append(Row(shared_lists.CODES, {**at, "lists": n_codes, "bytes": 1e4 * n_codes, "ready": ready}))
    return rows


def interaction(gain: float = 0.05, uncoded: float = 0.05, tokens: float = 4) -> list[Row]:
    network = {"gain": gain, "error": 0.01, "uncoded_gain": uncoded, "uncoded_error": 0.01}
    return [
        Row(interaction_gain.DOT, {"recall": 0.5, "uncoded": 0.52, "tokens": tokens}),
        Row(interaction_gain.NETWORK, {"recall": 0.5 + gain, "uncoded": 0.52 + uncoded, "tokens": tokens, **network}),
    ]


def sparse(gain: float = 0.05, sizes: Sequence[float] = (2e6, 1e6, 1e5)) -> list[Row]:
    def rows(name: str, trained: float) -> list[Row]:
        return [
            Row(name, {"trained": trained, "share": share, "kept": share, "tau": tau, "bytes": size, "recall": 0.5 + tau / 100})
            for share, tau, size in zip((0.5, 0.2, 0.02), (1.0, 2.0, 5.0), sizes, strict=True)
        ]

    *usual, decides = [*rows(sparse_scores.USUAL, 0.2), *rows(sparse_scores.SHARP, 0.02)]
    return [*usual, Row(decides.name, {**decides.values, "gain": gain, "error": 0.01})]


def health(unused: Sequence[float] = (0.4, 0.0, 0.1, 0.0), gain: float = 0.05) -> list[Row]:
    rows = []
    for name, share in zip(codebook_health.REMEDIES, unused, strict=True):
        for epoch in (0.0, 8.0):
            figures = {"perplexity": 500 * (1 - share), "unused": share, "revived": 0.0, "recall": 0.5}
            rows.append(Row(name, {"epoch": epoch, **figures}))
    best = {name: {"recall": 0.5} for name in codebook_health.REMEDIES}
    best[codebook_health.BOTH] |= {"gain": gain, "error": 0.01}
    return [*rows, *(Row(f"{name}, best epoch", values) for name, values in best.items())]


def costs(ours: float = 0.1, work: float = 1e4, beyond: float = 0.3) -> list[Row]:
    shared = {"items": 2e4, "times": 16.0, "encode_ms": 0.02, "search_ms": 0.2, "most": 200.0, "dims": 17.0}
    return [
        Row(FLAT, {**shared, "ms": 0.2, "work": 3e5, "rank": 17.0, "beyond": 0.0}),
        Row(SPARCODE, {**shared, "ms": ours, "work": work, "rank": 200.0, "beyond": beyond}),
        Row(ALL_TO_ALL, {**shared, "ms": 9.0, "work": math.nan, "rank": 150.0, "beyond": 0.4}),
    ]


def types(best: str = "mlp", noise: float = 0.01, slow: float = 0.1, dear: float = 60.0) -> list[Row]:
    rows = []
    for name in interaction_types.TYPES:
        gain = 0.05 if name == best else 0.0
        beside = {} if name == interaction_types.DOT else {"gain": gain, "error": noise}
        ms, seconds = (slow, dear) if name == "attention" else (0.1, 10.0)
        rows.append(Row(name, {"recall": 0.5 + gain, "seconds": seconds, "ms": ms, "bytes": 5e5, "epochs": 10.0, **beside}))
    return rows


def sizes(recalls: Sequence[float] = (0.4, 0.5, 0.55), large: float = 0.58, over_two: float = 0.03, error: float = 0.01) -> list[Row]:
    rows = []
    for size, recall in zip((16, 64, 256), recalls, strict=True):
        rows.append(_books(1, size, recall, recalls[0], error, {"over_two": over_two, "over_two_error": 0.01}))
    for size, recall in ((4, 0.3), (8, 0.4), (16, 0.45), (64, large)):
        rows.append(_books(2, size, recall, recalls[0], error, {}))
    return rows


def _books(m: int, size: int, recall: float, least: float, error: float, more: dict[str, float]) -> Row:
    name = codebook_sizes.ONE if m == 1 else codebook_sizes.TWO
    figures = {"size": size, "possible": size**m, "codewords": m * size, "lists": size**m, "bytes": 1e3 * size**m, "perplexity": 3.0}
    return Row(name, {**figures, "recall": recall, "epochs": 2.0, "gain": recall - least, "error": error, **more})


def knee(validation: Sequence[float] = (0.6, 0.599, 0.596, 0.4), ms: Sequence[float] = (0.4, 0.3, 0.2, 0.1)) -> list[Row]:
    rows = []
    for share, recall, taken in zip((0.5, 0.2, 0.05, 0.005), validation, ms, strict=True):
        figures = {"share": share, "kept": share, "validation": recall, "recall": recall, "bytes": 4e6 * share, "ms": taken}
        rows.append(Row(sparsity_knee.NAME, {**figures, "loss": 0.01}))
    return rows


CASES = [
    (1, whole(), (True, True, True), pytest.approx(91.67, abs=0.01)),
    (1, whole(recall=0.4), (False, False, True), pytest.approx(66.67, abs=0.01)),
    (1, whole(ms=3.0, n_bytes=3e6), (False, False, True), pytest.approx(91.67, abs=0.01)),
    (1, whole(same=0.99), (True, True, False), pytest.approx(91.67, abs=0.01)),
    (2, limits(), (True, True), "planted"),
    # The lead is there already where a dot product can express everything, so it does not come from what was planted.
    (2, limits(without=0.06), (False, True), "both"),
    (2, limits(planted=0.01, found=1.0), (False, False), "neither"),
    (2, limits(without=0.06, planted=0.0, ours=0.99), (False, False), "without"),
    (3, lists(), (True, True), pytest.approx(99)),
    (3, lists(codes=(100, 200, 400)), (False, True), pytest.approx(99)),
    (3, lists(codes=(1500, 1600, 1700)), (False, True), pytest.approx(99)),
    (3, lists(ready=0.5), (True, False), pytest.approx(50)),
    (3, lists(of_tokens=0.95), (True, False), pytest.approx(99)),
    (4, interaction(), (True, True), "network"),
    (4, interaction(gain=0.015), (False, False), "same"),
    (4, interaction(gain=-0.05, tokens=1), (False, False), "dot"),
    (4, interaction(uncoded=0.0), (True, False), "network"),
    (5, sparse(), (True, True), "knows"),
    (5, sparse(gain=-0.05), (True, False), "not"),
    (5, sparse(gain=0.01, sizes=(2e6, 2e6, 1e5)), (False, False), "same"),
    (6, health(), (True, True, True), pytest.approx(40)),
    (6, health(unused=(0.0, 0.0, 0.0, 0.0), gain=0.0), (False, False, False), pytest.approx(0)),
    (6, health(unused=(0.4, 0.4, 0.1, 0.1)), (True, False, True), pytest.approx(40)),
    (7, costs(), (True, True, True), "sparcode"),
    (7, costs(ours=0.19), (False, True, True), "same"),
    (7, costs(ours=0.5, work=1e6, beyond=0.005), (False, False, False), "two-tower"),
    (8, types(), (True, True, True), "mlp"),
    (8, types(best="dot"), (False, True, True), "dot"),
    (8, types(noise=0.04, slow=0.3, dear=11.0), (False, False, False), "mlp"),
    (9, sizes(), (True, True, True), "2x64"),
    (9, sizes(recalls=(0.5, 0.5, 0.55), large=0.4), (False, False, True), "1x256"),
    (9, sizes(recalls=(0.5, 0.4, 0.3), large=0.51, over_two=-0.03), (False, False, False), "2x64"),
    (9, sizes(over_two=0.01), (True, True, False), "2x64"),
    (10, knee(), (True, True, True), "5"),
    (10, knee(validation=(0.6, 0.5, 0.4, 0.1)), (False, False, True), "50"),
    (10, knee(validation=(0.6, 0.6, 0.6, 0.6), ms=(0.4, 0.4, 0.4, 0.4)), (True, False, False), "0.5"),
]


@pytest.mark.parametrize(("number", "rows", "holds", "answer"), CASES)
def test_a_claim_holds_or_is_refused_by_its_figures(number: int, rows: list[Row], holds: tuple[bool, ...], answer: object) -> None:
    lesson = lesson_of(number)
    readings = lesson.read(rows)
    assert tuple(reading.holds for reading in readings) == holds
    assert lesson.prediction.answer(rows) == answer
    assert all(any(letter.isdigit() for letter in reading.headline) for reading in readings)


def test_every_claim_of_every_lesson_is_refused_somewhere_and_holds_somewhere() -> None:
    for lesson in LESSONS:
        cases = [holds for number, _, holds, _ in CASES if number == lesson.number]
        for of_claim in zip(*cases, strict=True):
            assert set(of_claim) == {True, False}, lesson.number


def test_figures_are_quoted_as_they_were_measured() -> None:
    first, second, _ = whole_method.read(whole())
    assert "keeps 92% of all-to-all's recall (0.550 of 0.600) and answers a query in 0.100 ms in place of 2.000 ms" in first.headline
    assert "5.0 times smaller (2.50 MB to 500.00 kB)" in second.headline
    served = two_limits.read(limits(uncut=0.8))[1]
    assert "On 10,000 items (16 times the real ones) HNSW finds 98.00% of what" in served.headline
    assert "finds 100.00% of what its model with the cut" in served.headline
    assert "and 80.00% of what the same model ranks on top with nothing cut" in served.headline
    rank = query_costs.read(costs())[2]
    assert "30.0% of what differs" in rank.headline
    assert "can have is 200" in rank.text
    assert "With one token" in interaction_gain.read(interaction(tokens=1))[0].text
    assert "With 4 tokens" in interaction_gain.read(interaction())[0].text
    assert "5.0% of the scores are enough: 200.00 kB in place of 2.00 MB" in sparsity_knee.read(knee())[0].headline


def test_a_difference_counts_beyond_two_standard_errors() -> None:
    assert [outcome(0.021, 0.01), outcome(0.02, 0.01), outcome(-0.021, 0.01), outcome(math.nan, 0.01), outcome(0.1, math.nan)] == [
        *(1, 0, -1, 0, 0)
    ]
    assert gain_text(0.03, 0.01) == "+0.0300 ± 0.0100"
    assert gain_text(-0.01, 0.01) == "-0.0100 ± 0.0100 (within noise)"


def test_a_difference_between_trainings_says_that_another_seed_may_differ() -> None:
    decided = {2: limits(), 4: interaction(), 5: sparse(), 6: health(), 8: types(), 9: sizes()}
    for number, rows in decided.items():
        said = " ".join(reading.text for reading in lesson_of(number).read(rows))
        assert "each way is trained once, and another seed may differ by as much" in said, number
    assert "chosen on these same validation users" in codebook_health.read(health())[2].text


def test_rows_are_found_by_name_and_their_figures_named() -> None:
    rows = lists()
    assert len(line(rows, shared_lists.CODES)) == 3
    with pytest.raises(ValueError, match="one row must be named a list for every code; got 3 of 6"):
        named(rows, shared_lists.CODES)
    with pytest.raises(KeyError, match="has no figure recall; it has users, lists"):
        rows[0]["recall"]


def test_operations_that_are_not_counted_are_left_out_of_the_words() -> None:
    assert "nan" not in " ".join(f"{reading.headline} {reading.text}" for reading in query_costs.read(costs()))
