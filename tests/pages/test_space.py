from __future__ import annotations

import base64
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.charts.code_map import code_map_figure
from app.components.live_chart import entry_of
from app.components.point_map import Mark, Marked, Pick
from app.measured import code_spaces
from app.measured.code_spaces import CodeSpace, SpaceWanted
from app.measured.space_words import answer
from app.report.entry import Source
from app.report.figure_table import figure_table
from app.space.map import map_data
from app.space.selection import Selection
from sparcode.space.places import CODE, ITEM, TOKEN
from tests.fakes import PATIENCE
from tests.pages.opened_pages import charts, click, config_of, labels, markdown, mounted, opened, settled, studio, visited

PAGE = "space.py"
TITLES = ["Genres among the items ranked first, against the catalogue", "Codes carried together by one user", "Tokens by code"]


@pytest.fixture(autouse=True)
def quick_umap(tiny_app: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """UMAP takes too long for every test; its own are in `tests/space`."""

    def mirrored(points: np.ndarray, *rest: object) -> np.ndarray:
        return -points[:, :2]

    monkeypatch.setattr(code_spaces, "umap_plane", mirrored)


def page(**address: str) -> AppTest:
    app = settled(opened(PAGE, **{"k": "8", **address}))
    assert not app.exception
    return app


def space(book: int | None = None, **chosen: str) -> CodeSpace:
    measured = studio().indexes.best(config_of(**{"k": "8", **chosen}))
    found, _ = studio().spaces.space(measured, SpaceWanted(book, 5000), "ann", PATIENCE)
    return found


def on_map(app: AppTest) -> dict:
    (found,) = [given for given in mounted(app) if "cloud" in given]
    return found


def first_line(found: CodeSpace, units: list[int]) -> str:
    return f"#### {answer(found, units, studio().item_names)}"


def test_the_page_answers_first_and_shows_the_most_used_code() -> None:
    app = page()
    found = space()
    most = int(found.use.units[found.use.order][0])
    assert app.markdown[0].value == first_line(found, [most])
    assert list(charts(app)) == TITLES
    assert on_map(app)["marked"]["units"] == [most]
    assert on_map(app)["cloud"]["version"].endswith("/umap")
    assert on_map(app)["cloud"]["n"] == len(found.pca)
    assert "codes" not in app.query_params
    assert any("None is selected" in text.value for text in app.caption)


def test_selected_codes_are_selected_everywhere() -> None:
    found_first = page()
    found = space()
    chosen = found.use.units[found.use.order][2:4].tolist()
    app = found_first
    app.text_input[0].set_value(", ".join(map(str, chosen))).run()
    assert not app.exception
    assert app.markdown[0].value == first_line(found, chosen)
    assert app.query_params["codes"] == ".".join(map(str, chosen))
    marked = on_map(app)["marked"]
    assert marked["units"] == chosen
    assert [text for _, text in marked["codes"]] == [str(unit) for unit in chosen]
    (selected,) = [trace for trace in charts(app)["Tokens by code"]["data"] if trace["name"] == "selected"]
    assert np.frombuffer(base64.b64decode(selected["customdata"]["bdata"]), "<i4").tolist() == chosen
    items, _ = found.ranked(np.array(chosen), 10)
    names = studio().item_names
    assert [cell.strip("*").replace("\\", "") for cell in app.table[0].value["item"]] == [names.title(item) for item in items.tolist()]
    carriers = len(found.use.carriers(np.array(chosen)))
    assert f"**{carriers:,} of {found.use.n_users:,} training users**" in markdown(app)
    click(app, "Select none")
    assert "codes" not in app.query_params


def test_a_link_opens_a_selection_and_what_cannot_be_is_told() -> None:
    app = page(codes="2.5")
    assert on_map(app)["marked"]["units"] == [2, 5]
    app = page(codes="2.x.900")
    assert on_map(app)["marked"]["units"] == [2]
    assert any("codes = 2.x.900" in text.value for text in app.warning)
    assert any("No token takes code 900" in text.value for text in app.warning)
    app = page(codes="900")
    assert "None is selected" in "\n".join(text.value for text in app.caption)


def test_words_that_are_no_codes_are_told() -> None:
    app = page()
    app.text_input[0].set_value("1, blue").run()
    assert any("Not read as codes of this model: blue" in text.value for text in app.warning)
    assert app.query_params["codes"] == "1"


@pytest.mark.parametrize(("view", "book"), [("whole", None), ("2", 1)])
def test_two_codebooks_show_pairs_and_each_codebook_by_itself(view: str, book: int | None) -> None:
    app = page(m="2", view=view)
    found = space(book, m="2")
    assert list(charts(app)) == [*TITLES, "Tokens by pair of codewords"]
    most = int(found.use.units[found.use.order][0])
    assert app.markdown[0].value == first_line(found, [most])
    tokens = charts(app)["Tokens by pair of codewords"]
    assert ("shapes" in tokens["layout"]) == (book == 1)
    assert len(tokens["data"]) == (1 if book == 1 else 2)


def test_a_codebook_that_the_model_lacks_is_told() -> None:
    app = page(view="2")
    assert any("This model has 1 codebook, so there is no codebook 2" in text.value for text in app.warning)
    app = visited(PAGE, k="8", view="9", points="7")
    assert any("asks for view = 9" in text.value for text in app.warning)
    assert any("asks for points = 7" in text.value for text in app.warning)


def test_a_search_marks_what_it_finds() -> None:
    app = page()
    names, item = studio().item_names, space().ranked(space().use.units, 1)[0][0]
    app.text_input[1].set_value(names.titles[item]).run()
    assert not app.exception
    marked = on_map(app)["marked"]
    assert names.title(int(item)) in [text for _, text in marked["found"]]
    assert marked["zoom"]
    app.text_input[1].set_value("no such words").run()
    assert any("No item has all of these words" in text.value for text in app.caption)


def test_the_map_as_a_chart_of_the_report_has_what_the_page_shows() -> None:
    page()
    found = space()
    item, other = found.ranked(found.use.units, 2)[0].tolist()
    marked = Marked(
        units=(int(found.use.units[0]),),
        codes=tuple(Mark(place, "") for place, _ in found.points_of(CODE, found.use.units[:1].tolist())),
        items=tuple(Mark(place, "") for place, _ in found.points_of(ITEM, [item])),
        found=tuple(Mark(place, "") for place, _ in found.points_of(ITEM, [other])),
        zoom="",
    )
    data = map_data(found, found.pca, "UMAP", marked, studio().item_names)
    entry = entry_of(code_map_figure, data, Source("Code space"), "2026-11-30T22:05")
    table = figure_table(entry.content.light)
    assert table.columns == ("series", "x", "y", "title", "code")
    assert len(table.rows) == len(found.pca) == data.n_points
    by_series = {name: [row for row in table.rows if row[0] == name] for name in {row[0] for row in table.rows}}
    (first,), (second,) = by_series["items ranked first"], by_series["found"]
    assert (first[3], second[3]) == tuple(studio().item_names.title(number) for number in (item, other))
    of_selection = (found.points.kinds == TOKEN) & (found.points.units == found.use.units[0])
    assert len(by_series["tokens of the selection"]) == of_selection.sum()
    place = found.points_of(ITEM, [item])[0][0]
    np.testing.assert_allclose(first[1:3], found.pca[place], rtol=1e-6)
    assert first[4] == found.units.name(int(found.points.units[place]))


def test_principal_components_are_shown_on_request() -> None:
    app = page(layout="pca")
    assert on_map(app)["cloud"]["version"].endswith("/pca")
    assert not studio().spaces.umap_job(space())


def failing(*asked: object) -> None:
    raise ValueError("UMAP ended with status 1: the disk is full")


def test_a_failed_umap_is_told_and_can_be_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_spaces, "umap_plane", failing)
    app = page()
    assert any("the disk is full Principal components are shown" in text.value for text in app.error)
    assert on_map(app)["cloud"]["version"].endswith("/pca")
    monkeypatch.setattr(code_spaces, "umap_plane", lambda points, *rest: -points[:, :2])
    app = settled(click(app, "Start UMAP again"))
    assert on_map(app)["cloud"]["version"].endswith("/umap")
    assert not app.error


def test_umap_under_way_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(points: object, settings: object, on_progress: object, check: Callable[[], None]) -> None:
        while True:
            check()

    page(layout="pca")
    monkeypatch.setattr(code_spaces, "umap_plane", endless)
    app = visited(PAGE, k="8")
    assert not app.exception
    assert on_map(app)["cloud"]["version"].endswith("/pca")
    assert "Cancel UMAP" in labels(app)
    click(app, "Cancel UMAP")
    assert any("was cancelled" in text.value for text in app.info)
    assert "Start UMAP again" in labels(app)


def test_all_codes_are_listed_on_request() -> None:
    app = page(codes="3")
    app.session_state["space-numbers"] = True
    app.run()
    assert not app.exception
    found = space()
    (table,) = [element.value for element in app.dataframe]
    assert table["code"].tolist() == [str(unit) for unit in found.use.units[found.use.order].tolist()]
    assert table["share of tokens"].sum() == pytest.approx(1)
    assert table["users"].tolist() == found.use.n_carriers[found.use.order].tolist()


def test_data_without_genres_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    names = studio().item_names
    monkeypatch.setattr(names, "genres", [""] * len(names))
    app = page()
    assert "This data has no genres" in app.markdown[1].value
    assert charts(app)[TITLES[0]]["layout"]["annotations"][0]["text"] == "This data has no genres"
    assert "genres" not in app.table[0].value


def test_clicks_toggle_and_lassos_replace_or_add(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.space.selection.st", SimpleNamespace(session_state={}, query_params={}))
    monkeypatch.setattr("app.space.selection.went_back_or_forward", lambda: False)
    selection = Selection("s", space_units())
    selection.toggle(3)
    selection.toggle(5)
    assert selection.all == [3, 5]
    selection.toggle(3)
    assert selection.all == [5]
    selection.pick(Pick((7, 1), "add"))
    assert selection.all == [5, 7, 1]
    selection.pick(Pick((2,), "replace"))
    selection.pick(Pick((), "toggle"))
    assert selection.all == [2]
    selection.replace(list(range(1000)))
    assert len(selection.all) == 64
    selection.clear()
    assert selection.all == []


def space_units() -> object:
    from sparcode.space.units import code_units

    return code_units(1, 8)
