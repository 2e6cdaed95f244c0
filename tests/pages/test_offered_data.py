from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.session import loaders, opened_studios
from app.session.chosen_data import DATA_SETS
from app.session.offered_data import Fetched, progress_text
from app.studio import FETCHING
from app.training.data_folder import FOLDER_VARIABLE
from sparcode.data.fetching import MIRROR_VARIABLE, cache_folder, cached_archive
from sparcode.data.published import GOODBOOKS_TERMS, MOVIELENS_TERMS, PUBLISHED
from tests.data.test_fetching import Server, server
from tests.data.test_movielens import files_100k, write_zip
from tests.fakes import PATIENCE
from tests.pages.opened_pages import ENTRY, click, figures, markdown, studio
from tests.pages.test_kept_runs import overview, picker

# A fixture.
assert server
pytestmark = pytest.mark.usefixtures("tiny_app")
FETCH = "I accept the terms: fetch it"
RATINGS = [(user, 1 + (user + step) % 20, 3, 1000 * user + step) for user in range(1, 31) for step in range(12)]


@pytest.fixture(autouse=True)
def mirrored(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, server.address)


def fetched(app: AppTest, name: str) -> AppTest:
    """The page once a download is over."""
    studio().jobs.wait(f"{FETCHING}/{name}", lambda job: False, PATIENCE)
    return app.run()


@pytest.mark.parametrize(("name", "terms"), [("ml-100k", MOVIELENS_TERMS), ("goodbooks", GOODBOOKS_TERMS)])
def test_the_terms_are_shown_and_nothing_is_asked_of_the_network_without_the_click(server: Server, name: str, terms: str) -> None:
    app = overview(data=name)
    assert picker(app).value == name
    assert [text.value for text in app.text] == [terms]
    assert any(PUBLISHED[name].url in text.value for text in app.caption)
    app.run()
    assert server.asked == []


def test_a_click_fetches_it_and_every_page_shows_it(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server.contents["/ml-100k.zip"] = write_zip(tmp_path / "real.zip", files_100k(RATINGS), "ml-100k").read_bytes()
    monkeypatch.setitem(PUBLISHED, "ml-100k", PUBLISHED["ml-100k"]._replace(checksum=server.checksum("ml-100k")))
    app = fetched(click(overview(data="ml-100k"), FETCH), "ml-100k")
    assert not app.exception
    assert server.asked == ["/ml-100k.zip"]
    assert figures(app)["Users"] == "30"
    assert figures(app)["Interactions"] == "360"
    assert "**MovieLens 100K**" in markdown(app)
    app.switch_page("../pages/train.py").run()
    assert any(text.value == "MovieLens 100K: 30 users, 20 items, 360 interactions" for text in app.caption)
    # Another session finds it in the cache.
    assert figures(overview(data="ml-100k"))["Users"] == "30"
    assert server.asked == ["/ml-100k.zip"]


def test_a_file_that_is_not_the_published_one_is_refused_and_offered_again(server: Server) -> None:
    app = fetched(click(overview(data="ml-1m"), FETCH), "ml-1m")
    assert "MovieLens 1M could not be fetched. Nothing of it was kept." in app.error[0].value
    assert "is not the expected MovieLens 1M archive" in app.text[0].value
    assert cached_archive("ml-1m") is None
    assert [button.label for button in app.button] == [FETCH]


def test_a_copy_that_cannot_be_read_says_so_and_the_way_back(server: Server) -> None:
    path = cache_folder()
    path.mkdir(parents=True)
    (path / "ml-10m.zip").write_bytes(b"no archive")
    app = overview(data="ml-10m")
    assert "**MovieLens 10M** cannot be opened" in app.error[0].value
    assert "not a readable .zip archive" in app.text[0].value
    app = click(app, "Go on with the data that the studio was started with")
    assert not app.error
    assert picker(app).value == ""


def test_a_copy_that_is_another_file_does_not_get_the_published_title(server: Server, tmp_path: Path) -> None:
    assert server
    folder = cache_folder()
    folder.mkdir(parents=True)
    write_zip(folder / "ml-1m.zip", files_100k(RATINGS), "ml-100k")
    app = overview(data="ml-1m")
    assert figures(app)["Users"] == "30"
    assert "**ml-1m.zip (not the published MovieLens 1M)**" in markdown(app)


def test_made_up_data_of_another_size_is_a_choice_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "SMALL_USERS", 70)
    monkeypatch.setattr(loaders, "SMALL_ITEMS", 60)
    app = overview(data="small")
    assert figures(app)["Users"] == "70"
    assert "made up by this project" in app.info[0].value


def test_my_file_is_taken_on_any_page_and_shown_to_its_browser_alone(tiny_table: Path) -> None:
    app = overview(data="upload")
    assert "Choose a file to go on with." in app.info[0].value
    app.file_uploader[0].upload("mine.csv", tiny_table.read_bytes(), "text/csv").run()
    assert "**mine**" in markdown(app)
    assert figures(app)["Users"] == "120"
    assert [box.label for box in app.selectbox][1:] == ["Users", "Items", "Times", "Titles of items"]
    app.switch_page("../pages/train.py").run()
    assert not app.exception
    assert any("mine: 120 users" in text.value for text in app.caption)
    assert "Choose a file" in overview(data="upload").info[0].value


def test_the_data_that_is_open_is_named_and_what_was_closed_for_it_is_told_once(tiny_table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened_studios, "MOST_OPENED", 1)
    monkeypatch.setattr(loaders, "SMALL_USERS", 70)
    monkeypatch.setattr(loaders, "SMALL_ITEMS", 60)
    app = overview(data="small")
    (small,) = loaders.opened().open_beside()
    assert any(f"by all visitors: {small.interactions.name}; 1 of at most" in text.value for text in app.caption)
    other = overview(data="upload")
    other.file_uploader[0].upload("mine.csv", tiny_table.read_bytes(), "text/csv").run()
    assert any("by all visitors: mine; 1 of at most" in text.value for text in other.caption)
    assert not other.toast
    # Who looks at the studio's own data does not learn the name of the file.
    assert any("by all visitors: a visitor's file;" in text.value for text in overview().caption)
    app.run()
    assert "Small synthetic was closed meanwhile" in app.toast[0].value
    app.run()
    assert not app.toast


def test_the_columns_of_a_file_can_be_chosen(tiny_table: Path) -> None:
    content = tiny_table.read_bytes().replace(b"user_id,item_id", b"who,what")
    app = overview(data="upload")
    app.file_uploader[0].upload("mine.csv", content, "text/csv").run()
    assert "cannot tell which column" in app.text[0].value
    for label, column in (("Users", "who"), ("Items", "what")):
        next(box for box in app.selectbox if box.label == label).set_value(column).run()
    assert not app.error
    assert figures(app)["Users"] == "120"


def test_a_file_on_this_machine_is_offered_only_with_a_folder_and_read_like_an_upload(
    tiny_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [field.label for field in overview(data="upload").text_input] == []
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "mine.csv").write_bytes(tiny_table.read_bytes())
    (folder / "odd.csv").write_bytes(tiny_table.read_bytes().replace(b"user_id,item_id", b"who,what"))
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    app = overview(data="upload")
    (field,) = app.text_input
    assert field.label == "or a file on this machine, in films/"
    app = field.set_value("mine.csv").run()
    assert not app.exception
    assert figures(app)["Users"] == "120"
    assert [box.label for box in app.selectbox][1:] == ["Users", "Items", "Times", "Titles of items"]
    for text, says in (
        ("other.csv", "there is no file other.csv"),
        ("../mine.csv", "only files in the folder films"),
        (".", "films is a folder"),
    ):
        app = app.text_input[0].set_value(text).run()
        assert "cannot be used" in app.error[0].value
        assert says in app.text[0].value
    app = app.text_input[0].set_value("odd.csv").run()
    assert "cannot tell which column" in app.text[0].value
    for label, column in (("Users", "who"), ("Items", "what")):
        next(box for box in app.selectbox if box.label == label).set_value(column).run()
    assert figures(app)["Users"] == "120"
    app.file_uploader[0].upload("mine.csv", tiny_table.read_bytes(), "text/csv").run()
    assert app.text_input[0].disabled


def test_progress_is_told_in_megabytes_with_and_without_a_total() -> None:
    studio().jobs.submit("x", "x", lambda handle: handle.publish(Fetched(2_500_000, 5_000_000)), "ann", FETCHING)
    job = studio().jobs.wait("x", lambda snapshot: False, PATIENCE)
    share, text = progress_text(PUBLISHED["ml-100k"], job)
    assert share == 0.5
    assert text.startswith("Fetching MovieLens 100K: 2.5 of 5.0 MB, ")
    share, text = progress_text(PUBLISHED["goodbooks"], job._replace(records=(Fetched(2_500_000, 0),)))
    assert share == 0
    assert text.startswith("Fetching goodbooks-10k: 2.5 MB, ")


def test_every_published_set_is_offered() -> None:
    app = AppTest.from_file(ENTRY, default_timeout=PATIENCE).run()
    assert {DATA_SETS[name] for name in PUBLISHED} <= set(picker(app).options)
