from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from sparcode.model.query_trace import trace_query
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.space.units import CodeUnits, code_units
from sparcode.space.use import CodeUse, code_use, share_of_most_used
from tests.model.test_item_lists import with_lists
from tests.model.test_pair_features import config_of
from tests.tiny import changed, fresh_backbone, tiny_model, tiny_split

WHOLE, FIRST, SECOND = code_units(2, 6), code_units(2, 6, 0), code_units(2, 6, 1)


@cache
def use(units: CodeUnits) -> CodeUse:
    return code_use(tiny_model(), tiny_split().train).by(units)


@cache
def carried(units: CodeUnits) -> list[set[int]]:
    """The units of every user's nearest codes, by the trace of each query."""
    users = tiny_split().train
    traces = [trace_query(tiny_model(), users.take(np.array([row]))) for row in range(len(users))]
    return [set(units.of(trace.codes[:, 0]).tolist()) for trace in traces]


@pytest.mark.parametrize("units", [WHOLE, FIRST, SECOND])
def test_carriers_are_those_whose_tokens_are_nearest(units: CodeUnits) -> None:
    found, expected = use(units), carried(units)
    assert found.n_users == len(expected) == 96
    n_carriers = [sum(unit in one for one in expected) for unit in found.units.tolist()]
    assert found.n_carriers.tolist() == n_carriers
    for chosen in ([int(found.units[0])], found.units[:3].tolist(), found.units.tolist()):
        users = [row for row, one in enumerate(expected) if one & set(chosen)]
        assert found.carriers(np.array(chosen)).tolist() == users
        partners = [sum(unit in expected[row] for row in users) for unit in found.units.tolist()]
        assert found.partners(np.array(chosen)).tolist() == partners


@pytest.mark.parametrize("units", [WHOLE, FIRST, SECOND])
def test_tokens_are_the_weights_of_serving(units: CodeUnits) -> None:
    codes, weights = tiny_model().encode(tiny_split().train)
    of_units = units.of(codes)
    found = use(units)
    assert found.units.tolist() == np.unique(of_units).tolist()
    expected = [weights[of_units == unit].sum() for unit in found.units.tolist()]
    np.testing.assert_allclose(found.tokens, expected, rtol=1e-4)
    assert found.tokens.sum() == pytest.approx(96 * 3, rel=1e-5)
    assert np.all(np.diff(found.tokens[found.order]) <= 0)


@pytest.mark.parametrize("units", [WHOLE, SECOND])
def test_codes_carried_together_are_counted_by_user(units: CodeUnits) -> None:
    found, expected = use(units), carried(units)
    chosen = found.units[::-1][:5]
    both = found.together(chosen)
    for row, one in enumerate(chosen.tolist()):
        for column, other in enumerate(chosen.tolist()):
            assert both[row, column] == sum({one, other} <= has for has in expected)
    with pytest.raises(ValueError, match="must be in use"):
        found.together(np.array([10**6]))


def test_units_that_nobody_has_are_carried_by_nobody() -> None:
    assert len(use(WHOLE).carriers(np.array([10**6]))) == 0
    assert use(WHOLE).places(np.array([10**6, int(use(WHOLE).units[1])])).tolist() == [1]


def test_history_tokens_count_with_their_gates_and_item_lists_do_not() -> None:
    config = changed({"history_tokens": 5}, {"revive_below": 0})
    model = SparCodeModel(fresh_backbone(80, config.model), config.quantizer)
    users = tiny_split().train
    model.fit_codebooks(users, 0)
    codes, weights = model.encode(users)
    found = code_use(model, users)
    np.testing.assert_allclose(found.tokens, [weights[codes == unit].sum() for unit in found.units.tolist()], rtol=1e-4)
    listed = with_lists(changed({"item_lists": "ease"}))
    assert code_use(listed, users).units.max() < listed.first_list_code


def test_codes_that_are_items_are_carried_by_those_who_chose_them() -> None:
    config = config_of({"history_tokens": 5}, {"kind": "items"})
    model = SparCodeModel(fresh_backbone(80, config.model), config.quantizer)
    users = tiny_split().train
    found = code_use(model, users)
    latest = [set(users[row][-5:].tolist()) for row in range(len(users))]
    assert found.n_carriers.tolist() == [sum(item in one for one in latest) for item in found.units.tolist()]


def test_the_share_of_the_most_used_quarter() -> None:
    assert share_of_most_used(np.array([1.0, 5, 2, 2]), 4) == (1, 0.5)
    assert share_of_most_used(np.array([1.0, 5, 2, 2]), 8) == (2, 0.7)
    assert share_of_most_used(np.zeros(0), 8) == (2, 0.0)
