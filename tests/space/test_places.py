from __future__ import annotations

import numpy as np
import pytest
import torch

from sparcode.model.query_trace import trace_query
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.space.places import CODE, ITEM, TOKEN, SpacePoints, space_points
from sparcode.space.ranked import code_lists
from sparcode.space.units import CodeUnits, code_units
from sparcode.space.use import code_use
from tests.model.test_pair_features import config_of
from tests.tiny import changed, fresh_backbone, tiny_index, tiny_model, tiny_split

WHOLE = code_units(2, 6)


def points(units: CodeUnits = WHOLE, limit: int = 10_000, seed: int = 0) -> SpacePoints:
    model, users = tiny_model(), tiny_split().train
    use = code_use(model, users)
    return space_points(model, code_lists(tiny_index(), model.threshold), units, (use.units, use.tokens), users, limit, seed)


def of_kind(found: SpacePoints, kind: int) -> list[np.ndarray]:
    at = found.of_kind(kind)
    return [part[at] for part in (found.vectors, found.numbers, found.units)]


@pytest.mark.parametrize("book", [None, 0, 1])
def test_codes_stand_at_their_vectors_most_used_first(book: int | None) -> None:
    units = code_units(2, 6, book)
    vectors, numbers, same = of_kind(points(units), CODE)
    use = code_use(tiny_model(), tiny_split().train).by(units)
    assert numbers.tolist() == same.tolist() == use.units[use.order].tolist()
    books = tiny_model().quantizer.codebooks.detach().numpy()
    expected = tiny_model().code_vectors(numbers) if book is None else books[book][numbers]
    np.testing.assert_allclose(vectors, expected)


@pytest.mark.parametrize("book", [None, 0, 1])
def test_items_stand_in_the_middle_of_the_codes_that_rank_them(book: int | None) -> None:
    units = code_units(2, 6, book)
    vectors, numbers, nearest = of_kind(points(units), ITEM)
    model = tiny_model()
    added = np.maximum(model.score_codes(tiny_index().codes) - np.float32(model.threshold), 0)
    whole = model.code_vectors(tiny_index().codes)
    of_codes = whole if book is None else whole[:, 4 * book : 4 * book + 4]
    assert numbers.tolist() == np.flatnonzero(added.max(0) > 0).tolist()
    for vector, item, unit in zip(vectors, numbers.tolist(), nearest.tolist(), strict=True):
        weights = added[:, item]
        np.testing.assert_allclose(vector, (weights[:, None] * of_codes).sum(0) / weights.sum(), rtol=2e-3, atol=1e-4)
        assert unit == units.of(tiny_index().codes[weights.argmax()])


@pytest.mark.parametrize("book", [None, 0, 1])
def test_tokens_are_those_of_the_users(book: int | None) -> None:
    units = code_units(2, 6, book)
    vectors, owners, nearest = of_kind(points(units), TOKEN)
    assert owners.tolist() == np.repeat(np.arange(96), 3).tolist()
    tokens = tiny_model().backbone.tokens(tiny_split().train).flatten(0, 1).numpy()
    np.testing.assert_allclose(vectors, tokens if book is None else tokens[:, 4 * book : 4 * book + 4], atol=1e-5)
    traces = [trace_query(tiny_model(), tiny_split().train.take(np.array([row]))).codes[:, 0] for row in range(5)]
    assert nearest[:15].tolist() == units.of(np.concatenate(traces)).tolist()


def test_above_the_limit_a_seeded_sample_is_drawn_and_every_kind_has_its_share() -> None:
    found, again, other = points(limit=80), points(limit=80), points(limit=80, seed=1)
    assert len(found.kinds) == 80
    assert [len(found.of_kind(kind)) for kind in (CODE, ITEM)] == [min(20, found.n_codes), min(20, found.n_items)]
    assert found.n_tokens == 288
    for part, same in zip(found[:4], again[:4], strict=True):
        np.testing.assert_array_equal(part, same)
    assert found.numbers.tolist() != other.numbers.tolist()
    whole = points()
    all_tokens = {vector.tobytes() for vector in np.round(whole.vectors[whole.of_kind(TOKEN)], 3)}
    drawn = np.round(found.vectors[found.of_kind(TOKEN)], 3)
    assert sum(vector.tobytes() in all_tokens for vector in drawn) >= 0.9 * len(drawn)


@pytest.mark.parametrize("kind", ["product", "residual"])
def test_history_tokens_have_their_places_too(kind: str) -> None:
    config = changed({"history_tokens": 4}, {"kind": kind, "revive_below": 0})
    model, users = SparCodeModel(fresh_backbone(80, config.model), config.quantizer), tiny_split().train
    model.fit_codebooks(users, 0)
    use = code_use(model, users)
    lists = code_lists(tiny_index(), tiny_model().threshold)
    for book in (None, 1):
        found = space_points(model, lists, code_units(2, 6, book), (use.units, use.tokens), users, 10_000, 0)
        assert found.n_tokens == (3 + np.minimum(users.lengths, 4)).sum()
        vectors, owners, _ = of_kind(found, TOKEN)
        mine = np.flatnonzero(owners == 7)
        history = model.backbone.tokenizer.history.tokens.weight.detach()[torch.from_numpy(users[7][-4:].astype(np.int64))]
        if book is None:
            np.testing.assert_allclose(vectors[mine[3:]], history.numpy(), atol=1e-5)
        else:
            nearest = model.quantizer.nearest_codes(history)[:, 0]
            np.testing.assert_allclose(vectors[mine[3:]], model.quantizer.part(history, nearest, 1).detach().numpy(), atol=1e-5)


def test_models_whose_codes_are_items_have_no_map() -> None:
    config = config_of({"history_tokens": 4}, {"kind": "items"})
    model, users = SparCodeModel(fresh_backbone(80, config.model), config.quantizer), tiny_split().train
    use = code_use(model, users)
    with pytest.raises(ValueError, match="codes are items"):
        space_points(model, code_lists(tiny_index(), 1.0), WHOLE, (use.units, use.tokens), users, 100, 0)
    with pytest.raises(ValueError, match="limit must be at least 3"):
        points(limit=2)
