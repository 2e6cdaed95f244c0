from __future__ import annotations

import numpy as np
import pytest

from sparcode.retrieval.filters import ItemFilter
from tests.retrieval.tables import N_ITEMS


@pytest.mark.parametrize("ids", [[-1], [N_ITEMS], [0.5]])
def test_a_filter_wants_items(ids: list) -> None:
    for options in ({"allow": np.array(ids)}, {"deny": np.array(ids)}):
        with pytest.raises(ValueError, match=f"{next(iter(options))} must hold"):
            ItemFilter(N_ITEMS, **options)


def test_a_filter_knows_how_many_it_allows() -> None:
    assert len(ItemFilter(9).denied_of(9)) == 0
    assert np.flatnonzero(~ItemFilter(9, allow=[1, 1, 2], deny=[2, 3]).denied_of(9)).tolist() == [1]
