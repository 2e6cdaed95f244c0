from __future__ import annotations

import numpy as np
import pytest

from app.charts.code_bars import MOST_BARS, CodeBarsData, code_bars_figure, shown_bars
from app.charts.code_map import FOUND, PLAIN, SELECTED, CodeMapData, code_map_figure, thinned
from app.charts.code_pairs import CodePairsData, code_pairs_figure
from app.charts.codes_together import CodesTogetherData, codes_together_figure, together_lift
from app.charts.genre_lift import MOST_GENRES, GenreLiftData, genre_lift_figure, shown_lifts
from sparcode.space.lift import Labels, Lift
from sparcode.space.places import CODE, ITEM, TOKEN
from tests.app.charts.checked import checked

BARS = CodeBarsData(
    units=np.array([7, 2, 4]),
    names=("7", "2", "4"),
    ranks=np.array([1, 2, 3]),
    token_shares=np.array([0.6, 0.3, 0.1]),
    user_shares=np.array([0.5, 0.4, 0.0]),
    selected=np.array([False, True, False]),
    even=1 / 3,
    n_units=3,
)
LIFTS = [Lift("Noir", 8, 10, 10, 100, 4.0, 9.0), Lift("War", 1, 10, 10, 100, 0.2, 3.0), Lift("Kids", 0, 10, 60, 100, 0.0, 0.6)]


@pytest.mark.parametrize("dark", [False, True])
def test_bars_name_and_mark_what_is_selected(dark: bool) -> None:
    figure = checked(code_bars_figure(BARS, dark))
    plain, selected, marks = figure.data
    assert list(plain.customdata) == [7, 4]
    assert list(selected.customdata) == [2]
    assert selected.x.tolist() == [2]
    assert selected.marker.pattern.shape != plain.marker.pattern.shape
    assert selected.marker.color != plain.marker.color
    assert list(marks.text) == ["2"]
    assert list(marks.customdata) == [2]
    assert figure.layout.title.text == "The most used code takes 1.8 times its even share"


def test_the_most_used_and_every_selected_code_get_a_bar() -> None:
    order = np.arange(1000)[::-1]
    assert shown_bars(order, np.array([3, 999])).tolist() == [*range(MOST_BARS), 996]
    assert shown_bars(order[:5], np.zeros(0)).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("dark", [False, True])
def test_pairs_tell_how_many_tokens_take_them_and_what_a_click_selects(dark: bool) -> None:
    tokens = np.array([[0.0, 10.0], [1000.0, 0.0]])
    data = CodePairsData(tokens, np.array([[0, 1], [2, 3]]), np.array([[1, 0]]))
    figure = checked(code_pairs_figure(data, dark))
    cells, marks = figure.data
    np.testing.assert_allclose(cells.z, [[np.nan, 1], [3, np.nan]])
    assert [list(row) for row in cells.customdata] == [[0, 1], [2, 3]]
    assert (list(marks.x), list(marks.y)) == ([0], [1])
    assert figure.layout.title.text == "2 of 4 pairs are in use"


@pytest.mark.parametrize(("book", "axis"), [(0, "x"), (1, "y")])
def test_a_codeword_is_framed_in_its_own_direction(book: int, axis: str) -> None:
    data = CodePairsData(np.ones((3, 3)), np.zeros((3, 3), np.int64), np.zeros((0, 2), np.int64), (2,), book)
    (shape,) = checked(code_pairs_figure(data, False)).layout.shapes
    assert (getattr(shape, f"{axis}0"), getattr(shape, f"{axis}1")) == (1.5, 2.5)


def test_lift_of_pairs_is_counted_against_independence() -> None:
    rng = np.random.default_rng(0)
    has = rng.random((200, 3)) < [0.5, 0.3, 0.6]
    has[:, 1] |= has[:, 0]
    both = (has.T.astype(int) @ has.astype(int)).astype(np.int64)
    lift = together_lift(both, 200)
    for one in range(3):
        for other in range(3):
            # All are frequent enough for a number.
            expected = np.nan if one == other else (has[:, one] & has[:, other]).mean() / (has[:, one].mean() * has[:, other].mean())
            np.testing.assert_allclose(lift[one, other], expected)
    assert lift[0, 1] == np.nanmax(lift)


def test_pairs_of_few_users_have_no_number() -> None:
    both = np.array([[10, 2, 0], [2, 10, 9], [0, 9, 900]])
    lift = together_lift(both, 1000)
    np.testing.assert_allclose(lift[0], [np.nan, np.nan, 0])
    assert lift[1, 2] == pytest.approx(1)
    data = CodesTogetherData(np.array([4, 9]), ("4", "9"), both[:2, :2], 1000, (True, False), 2)
    figure = checked(codes_together_figure(data, False))
    assert [list(row) for row in figure.data[0].text] == [["", "–"], ["–", ""]]
    assert figure.layout.title.text == "No pair of these codes has 5 users"


@pytest.mark.parametrize("dark", [False, True])
def test_every_pair_has_its_number_beside_its_colour(dark: bool) -> None:
    data = CodesTogetherData(np.array([4, 9]), ("4", "9"), np.array([[50, 30], [30, 40]]), 100, (True, False), 20)
    figure = checked(codes_together_figure(data, dark))
    (cells,) = figure.data
    assert [list(row) for row in cells.text] == [["", "1.5"], ["1.5", ""]]
    assert list(cells.x) == ["▸ 4", "9"]
    assert [list(row) for row in cells.customdata] == [[4, 9], [4, 9]]
    assert figure.layout.title.text == "Codes 4 and 9 stand together 1.5 times as often as by chance"


def test_of_many_codes_that_users_carry_by_lot_no_pair_is_named() -> None:
    rng = np.random.default_rng(0)
    has = (rng.random((300, 60)) < 0.15).astype(np.int64)
    most = np.argsort(-(has.T @ has)[0], kind="stable")[:14]
    both = (has.T @ has)[np.ix_(most, most)]
    names = tuple(map(str, most))
    by_lot = CodesTogetherData(most, names, both, 300, (True, *[False] * 13), 60)
    assert np.nanmax(together_lift(both, 300)) > 1.5
    assert codes_together_figure(by_lot, False).layout["title"]["text"] == "No pair of these codes stands together beyond chance"
    planted = both.copy()
    planted[0, 1] = planted[1, 0] = min(planted[0, 0], planted[1, 1])
    assert f"Codes {names[0]} and {names[1]} stand" in codes_together_figure(by_lot._replace(both=planted), False).layout["title"]["text"]


@pytest.mark.parametrize("dark", [False, True])
def test_genres_show_lift_interval_and_count(dark: bool) -> None:
    figure = checked(genre_lift_figure(GenreLiftData(("Noir", "War", "Kids"), tuple(LIFTS)), dark))
    over, under, unclear = figure.data
    assert [trace.name for trace in figure.data] == ["over-represented", "under-represented", "unclear: may be 1"]
    assert over.y == ("Noir · 8 of 10",)
    assert over.x[0] == pytest.approx(8)
    assert (over.x[0] + over.error_x.array[0], over.x[0] - over.error_x.arrayminus[0]) == (9, 4)
    assert under.x[0] - under.error_x.arrayminus[0] > 0
    assert len({over.marker.symbol, under.marker.symbol, unclear.marker.symbol}) == 3
    assert figure.layout.title.text == "Noir is 8.0 times as frequent as in the catalogue (4.0 to 9.0)"


def test_of_many_genres_both_ends_are_shown() -> None:
    texts = [f"G{item % 40:02d}" for item in range(4000)]
    lifts = Labels(texts).lifts(np.arange(0, 4000, 13))
    shown = shown_lifts(lifts)
    assert len(shown) == MOST_GENRES
    assert shown[0] == lifts[0]
    assert shown_lifts(LIFTS) == LIFTS


def test_charts_say_so_where_there_is_nothing() -> None:
    nothing, none = np.zeros(0), np.zeros(0, np.int64)
    figures = [
        code_bars_figure(CodeBarsData(none, (), none, nothing, nothing, none.astype(bool), 1.0, 0), False),
        code_pairs_figure(CodePairsData(np.zeros((2, 2)), np.zeros((2, 2), np.int64), np.zeros((0, 2), np.int64)), False),
        codes_together_figure(CodesTogetherData(np.array([1]), ("1",), np.array([[5]]), 9, (True,), 1), False),
        genre_lift_figure(GenreLiftData((), (), "This data has no genres"), False),
    ]
    assert [len(checked(figure).layout.annotations) for figure in figures] == [1, 1, 1, 1]


def code_map(n_tokens: int = 3, n_points: int = 0) -> CodeMapData:
    """A selected code, another one, two items of which one is found, and tokens, the first of the selection."""
    kinds = np.array([CODE, CODE, ITEM, ITEM, *[TOKEN] * n_tokens])
    marks = np.array([SELECTED, PLAIN, FOUND, PLAIN, SELECTED, *[PLAIN] * (n_tokens - 1)])
    plane = np.arange(2 * len(kinds), dtype=np.float32).reshape(-1, 2)
    titles = ("code 4", "code 5", "Some &lt;film", "Other", *(f"token {number}" for number in range(n_tokens)))
    codes = ("4", "5", "4", "5", *["4"] * n_tokens)
    return CodeMapData("UMAP", plane, kinds, marks, titles, codes, n_points or len(kinds), "Code 4 among 2 in use")


@pytest.mark.parametrize("dark", [False, True])
def test_a_map_has_every_point_once_and_names_what_stands_out(dark: bool) -> None:
    data = code_map()
    figure = checked(code_map_figure(data, dark))
    by_name = {trace.name: trace for trace in figure.data}
    assert list(by_name) == ["tokens", "items", "codes", "tokens of the selection", "selected codes", "found"]
    assert sorted(text for trace in figure.data for text in trace.text) == sorted(data.titles)
    assert list(zip(by_name["tokens"].x, by_name["tokens"].y, strict=True)) == [(10, 11), (12, 13)]
    assert [note.text for note in figure.layout.annotations] == ["Some &lt;film", "code 4"]
    assert (by_name["found"].x[0], by_name["found"].text, by_name["found"].customdata) == (4, ("Some &lt;film",), ("4",))
    # Kinds and marks differ by more than colour.
    assert len({trace.marker.symbol for trace in figure.data if trace.name != "tokens of the selection"}) == 5
    assert figure.layout.title.text == "Code 4 among 2 in use"
    assert figure.layout.xaxis.title.text == "all 7 points of the map<br>axes have no unit"
    assert figure.layout.yaxis.scaleanchor == "x"


def test_a_map_that_is_thinned_says_so_and_an_empty_one_too() -> None:
    figure = checked(code_map_figure(code_map(n_points=20_000), False))
    assert figure.layout.xaxis.title.text == "7 of the map's 20,000 points, drawn by lot<br>axes have no unit"
    none = np.zeros(0, np.int64)
    empty = checked(code_map_figure(CodeMapData("UMAP", np.zeros((0, 2)), none, none, (), (), 0), False))
    assert empty.layout.annotations[0].text == "There are no points"


def test_names_on_a_map_do_not_lie_on_one_another() -> None:
    data = code_map(n_tokens=1)
    near = data._replace(marks=np.full(5, FOUND), plane=np.array([[0, 0], [1, 1], [1, 2], [1, 50], [100, 0]], np.float32))
    assert [note.text for note in checked(code_map_figure(near, False)).layout.annotations] == ["code 4", "Other", "token 0"]


def test_what_stands_out_and_the_most_used_codes_are_kept_when_a_map_is_thinned() -> None:
    kinds = np.repeat([CODE, ITEM, TOKEN], [3000, 5000, 12_000])
    kept = np.array([2999, 5, 8001, 5])
    places = thinned(kinds, kept)
    assert len(places) == len(set(places.tolist())) == 4000
    assert (np.diff(places) > 0).all()
    assert {5, 2999, 8001, *range(1000)} <= set(places.tolist())
    # The others by lot: as many items for each token as before.
    items, tokens = (int((kinds[places] == kind).sum()) for kind in (ITEM, TOKEN))
    assert items / tokens == pytest.approx(5 / 12, rel=0.1)
    np.testing.assert_array_equal(thinned(kinds, kept), places)
    np.testing.assert_array_equal(thinned(kinds[:4000], kept[:2]), np.arange(4000))
    assert thinned(kinds, np.arange(8000)).tolist() == list(range(4000))
