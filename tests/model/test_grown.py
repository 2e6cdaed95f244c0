from __future__ import annotations

import pytest
import torch

from sparcode.config import ModelConfig, QuantizerConfig
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.grown import SPREAD, draws, grown
from sparcode.model.interaction import ItemTable
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.two_tower import TwoTowerModel
from tests.tiny import CONFIG, fresh_backbone, tiny_backbone, tiny_model, tiny_split

N_ITEMS, GROWN = 80, 200


def two_tower() -> TwoTowerModel:
    model = TwoTowerModel(N_ITEMS, CONFIG.model)
    torch.nn.init.normal_(model.items.embedding.weight, generator=torch.Generator().manual_seed(1))
    torch.nn.init.normal_(model.items.bias, generator=torch.Generator().manual_seed(2))
    return model.eval()


def table_of(model: SparCodeModel | TwoTowerModel | AllToAllModel) -> ItemTable:
    return model.items if not isinstance(model, SparCodeModel) else model.backbone.items


@pytest.mark.parametrize("make", [tiny_model, tiny_backbone, two_tower])
def test_a_grown_model_keeps_its_items_and_scores_the_new_ones(make: object) -> None:
    model, queries = make(), tiny_split().test.queries
    larger = grown(model, GROWN, seed=1)
    assert larger.n_items == GROWN
    torch.testing.assert_close(table_of(larger).embedding.weight[:N_ITEMS], table_of(model).embedding.weight)
    scores, before = larger.score(queries), model.score(queries)
    assert scores.shape == (len(queries), GROWN)
    torch.testing.assert_close(torch.from_numpy(scores[:, :N_ITEMS]), torch.from_numpy(before))
    assert table_of(model).bias.numel() == N_ITEMS


@pytest.mark.parametrize("make", [tiny_backbone, two_tower])
def test_new_items_are_drawn_as_said_with_the_same_seed_alike_in_all_models(make: object) -> None:
    model = make()
    base, one, other = draws(N_ITEMS, GROWN, 1)
    assert len(base) == GROWN - N_ITEMS
    for values, trained in (
        (table_of(grown(model, GROWN, 1)).embedding.weight, table_of(model).embedding.weight),
        (table_of(grown(model, GROWN, 1)).bias, table_of(model).bias),
    ):
        expected = trained[base] + SPREAD / 2**0.5 * (trained[one] - trained[other])
        torch.testing.assert_close(values[N_ITEMS:], expected)
    assert not torch.equal(table_of(grown(model, GROWN, 2)).bias, table_of(grown(model, GROWN, 1)).bias)


def test_fewer_items_than_trained_are_the_first() -> None:
    model = two_tower()
    torch.testing.assert_close(table_of(grown(model, 10, 1)).bias, model.items.bias[:10])
    assert [len(part) for part in draws(N_ITEMS, 10, 1)] == [0, 0, 0]


def test_what_cannot_be_drawn_anew_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 item; got 0"):
        grown(two_tower(), 0, 1)
    with pytest.raises(ValueError, match="side features"):
        grown(TwoTowerModel(4, ModelConfig(), item_features=torch.zeros(4, 2)), 8, 1)
    for setting in ({"pair_features": "counts"}, {"item_lists": "ease"}):
        with pytest.raises(ValueError, match="pair features or item lists"):
            grown(SparCodeModel(fresh_backbone(4, ModelConfig(**setting)), QuantizerConfig()), 8, 1)
