from __future__ import annotations

import base64

import numpy as np
import pytest

from app.components.point_map import Pick, cloud, read_pick


def test_a_cloud_keeps_places_at_one_scale_and_numbers_exactly() -> None:
    plane = np.array([[-1.0, 0.0], [3.0, 1.0], [1.0, 0.5]], np.float32)
    units = np.array([2**40, 1, 7])
    sent = cloud("v", plane, np.array([0, 1, 2], np.int8), units, np.array([5, 6, 7]))

    def read(name: str, dtype: str) -> np.ndarray:
        return np.frombuffer(base64.b64decode(sent.text[name]), dtype)

    x, y = read("x", "<u2") / 65535, read("y", "<u2") / 65535
    np.testing.assert_allclose(np.stack([x, y], 1), [[0, 0.375], [1, 0.625], [0.5, 0.5]], atol=1e-4)
    assert read("kinds", "u1").tolist() == [0, 1, 2]
    assert read("units", "<f8").tolist() == units.tolist()
    assert read("numbers", "<i4").tolist() == [5, 6, 7]
    assert (sent.n, sent.version) == (3, "v")
    # From which the browser has the places in the plane again.
    np.testing.assert_allclose(np.stack([x, y], 1) * sent.size - sent.size / 2 + sent.middle, plane, atol=1e-3)


def test_points_in_one_place_or_none_are_drawn_in_the_middle() -> None:
    sent = cloud("v", np.ones((2, 2), np.float32), np.zeros(2, np.int8), np.zeros(2), np.zeros(2))
    assert np.frombuffer(base64.b64decode(sent.text["x"]), "<u2").tolist() == [32768, 32768]
    assert cloud("v", np.zeros((0, 2)), np.zeros(0), np.zeros(0), np.zeros(0)).n == 0


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"units": [3, 4.0, 3], "how": "replace"}, Pick((3, 4), "replace")),
        ({"units": [], "how": "toggle"}, Pick((), "toggle")),
        ({"units": [-1, True, "7", None, 2**60, 5], "how": "add"}, Pick((5,), "add")),
        ({"units": [3], "how": "delete"}, None),
        ({"units": "3", "how": "add"}, None),
        ({"how": "add"}, None),
        ([3], None),
        (None, None),
    ],
)
def test_what_a_browser_tells_is_checked(told: object, expected: Pick | None) -> None:
    assert read_pick(told) == expected
