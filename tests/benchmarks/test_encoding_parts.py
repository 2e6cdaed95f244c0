from __future__ import annotations

import numpy as np

from benchmarks.encoding import DENSE, LAYOUTS, SPARSE, by_torch, encoding_times, figures, whole_query_times
from sparcode.comparison.interleaved_timing import Timing
from sparcode.comparison.peers import SPARCODE, TWO_TOWER
from tests.tiny import tiny_model, tiny_parts, tiny_split


def timing(total_us: float) -> Timing:
    return Timing(np.array([total_us / 4]), np.array([3 * total_us / 4]), np.array([total_us]))


def test_the_last_line_holds_medians_and_ratios() -> None:
    encoding = {SPARCODE: timing(40), f"{SPARCODE}, PyTorch": timing(160), TWO_TOWER: timing(20), f"{TWO_TOWER}, PyTorch": timing(200)}
    whole = {(layout, density): timing(us) for layout in LAYOUTS for density, us in ((DENSE, 100), (SPARSE, 30))}
    assert figures(encoding, whole) == {
        "encode_us": 10,
        "encode_over_torch": 0.25,
        "two_tower_encode_us": 5,
        "two_tower_encode_over_torch": 0.1,
        "sparse_over_dense_lists": 0.3,
        "sparse_over_dense_blocks_16_bits": 0.3,
    }


def test_every_way_is_timed_on_every_query() -> None:
    queries, models = tiny_split().test.queries, {SPARCODE: tiny_model(), TWO_TOWER: tiny_parts()["two-tower"].model}
    encoding, whole = encoding_times(models, queries, 1), whole_query_times(tiny_model(), queries, 1)
    assert set(encoding) == {SPARCODE, f"{SPARCODE}, PyTorch", TWO_TOWER, f"{TWO_TOWER}, PyTorch"}
    assert set(whole) == {(layout, density) for layout in LAYOUTS for density in (DENSE, SPARSE)}
    assert all(part.total_us.shape == (len(queries),) for part in (*encoding.values(), *whole.values()))


def test_pytorch_beside_it_gives_the_same_codes() -> None:
    queries = tiny_split().test.queries
    codes, weights = tiny_model().encode(queries)
    expected = by_torch(tiny_model(), queries)
    np.testing.assert_array_equal(codes, expected[0])
    np.testing.assert_allclose(weights, expected[1], rtol=1e-5, atol=1e-6)
