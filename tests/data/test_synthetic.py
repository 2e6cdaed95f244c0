from __future__ import annotations

import numpy as np
import pytest

from sparcode.config import SyntheticConfig
from sparcode.data.synthetic import LATENT_DIM, generate, inexpressible_share, planted_truth

SMALL = SyntheticConfig(n_users=150, n_items=90, seed=5)


def test_the_same_seed_gives_the_same_data() -> None:
    assert generate(SMALL).content_hash() == generate(SMALL).content_hash()
    assert generate(SMALL).items.equals(generate(SMALL).items)
    assert generate(SMALL).content_hash() != generate(SMALL.model_copy(update={"seed": 6})).content_hash()


def test_it_is_said_to_be_synthetic() -> None:
    data = generate(SMALL)
    assert data.synthetic
    assert "synthetic" in data.name
    assert "synthetic" in repr(data)


def test_the_catalogue_can_be_read() -> None:
    items = generate(SMALL).items
    assert len(items) == SMALL.n_items
    assert items["title"].is_unique
    assert items["title"].str.fullmatch(r"The [\w-]+ \w+( \d+)?").all()
    assert items["genres"].str.fullmatch(r"[\w-]+(\|[\w-]+)?").all()
    assert items["year"].between(1950, 2030).all()


def test_users_have_distinct_items_in_histories_of_different_lengths() -> None:
    histories = generate(SMALL).histories
    assert histories.lengths.min() >= 8
    assert histories.lengths.max() <= max(8, SMALL.n_items // 4)
    assert len(set(histories.lengths.tolist())) > 5
    assert all(len(set(histories[row].tolist())) == len(histories[row]) for row in range(len(histories)))


def test_the_parts_are_uncorrelated_and_their_variances_add_up() -> None:
    planted = planted_truth(SMALL.model_copy(update={"nonlinear_share": 0.3}))
    for part in (planted.linear, planted.nonlinear, planted.affinity):
        assert float(part.std()) == pytest.approx(1, abs=1e-3)
    assert abs(float((planted.linear * planted.nonlinear).mean())) < 1e-3
    assert float((planted.affinity * planted.nonlinear).mean()) == pytest.approx(np.sqrt(0.3), abs=1e-3)


def test_a_dot_product_expresses_all_at_share_zero_and_less_at_more() -> None:
    left = [inexpressible_share(planted_truth(SMALL.model_copy(update={"nonlinear_share": share})), LATENT_DIM) for share in (0, 0.5, 1)]
    assert left[0] == pytest.approx(0, abs=1e-4)
    assert left[0] < left[1] < left[2]


def test_the_inexpressible_share_is_what_the_best_low_rank_matrix_leaves() -> None:
    planted = planted_truth(SMALL)
    centred = planted.affinity - planted.affinity.mean(axis=0)
    left, values, right = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    best = (left[:, :3] * values[:3]) @ right[:3]
    expected = np.square(centred - best).sum() / np.square(centred).sum()
    assert inexpressible_share(planted, 3) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_users_pick_what_fits_them_the_more_the_less_noise_there_is(share: float) -> None:
    mean_affinity = []
    for difficulty in (0.0, 0.5, 1.0):
        config = SMALL.model_copy(update={"difficulty": difficulty, "nonlinear_share": share})
        histories, affinity = generate(config).histories, planted_truth(config).affinity
        mean_affinity.append(float(affinity[histories.rows, histories.items].mean()))
    assert mean_affinity[0] > mean_affinity[1] > 0.5
    assert abs(mean_affinity[2]) < 0.1


def test_the_order_of_a_history_tells_nothing() -> None:
    config = SMALL.model_copy(update={"difficulty": 0.0})
    data, affinity = generate(config), planted_truth(config).affinity
    firsts, lasts = ([data.histories[row][place] for row in range(config.n_users)] for place in (0, -1))
    users = np.arange(config.n_users)
    assert not data.has_time
    assert abs(float(affinity[users, firsts].mean() - affinity[users, lasts].mean())) < 0.2
