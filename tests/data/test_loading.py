from __future__ import annotations

import io

import pandas as pd
import pooch
import pytest

from sparcode.commands.data_source import DATA
from sparcode.config import SplitConfig, SyntheticConfig
from sparcode.data import loading
from sparcode.data.interactions import Interactions
from sparcode.data.loading import load
from sparcode.data.published import PUBLISHED
from sparcode.data.tabular import ColumnMapping
from tests.data.test_movielens import write_folder, write_zip
from tests.fakes import raising

SMALL = SyntheticConfig(n_users=50, n_items=50)
FILES = {"ratings.dat": b"1::7::5::20\n1::8::2::10\n", "movies.dat": b"7::Seven (1995)::Crime\n8::Eight (1999)::Drama\n"}


@pytest.fixture
def archive(tmp_path):
    return write_zip(tmp_path / "movies.zip", FILES)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "visits.csv"
    path.write_text("user,item,stars\nann,x,5\nann,y,1\n")
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(pooch, "os_cache", lambda project: folder)
    return folder


def test_synthetic_by_settings_by_name_and_by_default():
    data = load(SMALL)
    assert data.synthetic
    assert (data.n_users, data.n_items) == (50, 50)
    assert load(SMALL).content_hash() == data.content_hash()
    named, default = load("synthetic"), load()
    assert named.n_users == SyntheticConfig().n_users
    assert named.content_hash() == default.content_hash() != data.content_hash()


def test_movielens_by_content(archive, tmp_path):
    renamed = tmp_path / "renamed.bin"
    renamed.write_bytes(archive.read_bytes())
    for source in (archive, str(archive), io.BytesIO(archive.read_bytes()), renamed):
        data = load(source)
        assert data.name == "MovieLens 1M"
        assert data.histories[0].tolist() == [1, 0]
    assert load(io.BytesIO(archive.read_bytes()), name="upload.zip").n_interactions == 2
    assert load(write_folder(tmp_path / "extracted", FILES), min_rating=4).n_interactions == 1


def test_tables(table):
    assert load(table).name == "visits"
    assert load(str(table), min_rating=4).n_interactions == 1
    assert load(io.BytesIO(table.read_bytes()), name="upload.csv").name == "upload"
    assert load(table, columns=ColumnMapping(user="item", item="user")).n_users == 2
    items = table.with_name("items.csv")
    items.write_text("item,title\nx,The X\n")
    assert load(table, items_path=items).items["title"].tolist() == ["The X", "y"]


def test_movielens_by_name_comes_from_the_cache(archive, cache):
    archive.rename(cache / "ml-1m.zip")
    assert load("ml-1m").n_interactions == 2
    assert load("ml-1m", min_rating=4).n_interactions == 1


def test_movielens_by_name_is_never_downloaded_unasked(monkeypatch):
    monkeypatch.setattr(pooch, "retrieve", raising(AssertionError("nobody asked for a download")))
    with pytest.raises(
        ValueError,
        match=r"MovieLens 100K is not on this computer yet.*download=True, accept_terms=True; 4\.9 MB from https://files",
    ) as error:
        load("ml-100k")
    assert PUBLISHED["ml-100k"].terms in str(error.value)
    with pytest.raises(ValueError, match="after its terms are accepted"):
        load("ml-100k", download=True)
    with pytest.raises(ValueError, match="is not on this computer yet"):
        load("ml-100k", accept_terms=True)


def test_movielens_by_name_is_downloaded_when_asked(archive, monkeypatch):
    asked = []

    def retrieve(url, known_hash, fname, **kwargs):
        asked.append((url, known_hash, fname))
        return str(archive)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert load("ml-1m", download=True, accept_terms=True).n_interactions == 2
    dataset = PUBLISHED["ml-1m"]
    assert asked == [(dataset.url, dataset.checksum, "ml-1m.zip")]


def test_a_ready_made_split_is_for_load_split(table):
    with pytest.raises(
        ValueError, match=r"'.*visits\.csv' and '.*visits\.csv', a ready-made split, comes with its own split; use load_split"
    ):
        load(loading.TrainTestFiles(table, table))


@pytest.mark.parametrize("source", ["ml-20m", "nowhere.csv", "nowhere/at/all"])
def test_unknown_sources_are_refused_with_what_is_allowed(source):
    with pytest.raises(
        ValueError, match=rf"unknown data '{source}'.*allowed are 'synthetic', 'ml-100k', 'ml-1m', .*\.csv, \.tsv, \.parquet"
    ):
        load(source)


def test_files_of_other_kinds_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"notes\.txt: unsupported extension '\.txt'; allowed are"):
        load(tmp_path / "notes.txt")
    (tmp_path / "fake.zip").write_text("hello")
    with pytest.raises(ValueError, match=r"fake\.zip is not a readable \.zip archive"):
        load(tmp_path / "fake.zip")
    with pytest.raises(ValueError, match=r"is not a readable \.zip archive"):
        load(io.BytesIO(b"hello"), name="fake.zip")
    with pytest.raises(ValueError, match=r"looked for u\.data"):
        load(tmp_path)
    with pytest.raises(ValueError, match="unknown data 3; allowed are"):
        load(3)


def test_a_new_kind_of_data_is_one_row(tmp_path, monkeypatch):
    (tmp_path / "log.txt").write_text("ann x\nann y\nbob x\nbob z\ncy y\ncy z\n")

    def read(source, options, config):
        frame = pd.read_csv(source, sep=" ", names=["user_id", "item_id"])
        return Interactions.from_frame(frame, "log")

    kind = loading.Kind("logs", lambda source, name: str(source).endswith(".txt"), read)
    monkeypatch.setattr(loading, "KINDS", (kind, *loading.KINDS))
    assert load(tmp_path / "log.txt").n_items == 3
    flags = {parameter.name: None for parameter in DATA.parameters}
    source = DATA.build(**flags | {"data": str(tmp_path / "log.txt")})
    data, split = source.load_split(SplitConfig(min_history=2), quiet=True)
    assert (data.name, len(split.train)) == ("log", 1)
    with pytest.raises(
        ValueError, match=r"--min-rating can only be used with a published data set by name.*; the data is '.*log\.txt', logs"
    ):
        DATA.build(**flags | {"data": str(tmp_path / "log.txt"), "min_rating": 3}).load_split(SplitConfig(), quiet=True)


def test_settings_that_do_not_apply_are_refused(archive, cache):
    with pytest.raises(ValueError, match="columns, min_rating cannot be used with synthetic data"):
        load(SMALL, columns=ColumnMapping(), min_rating=3)
    with pytest.raises(ValueError, match="users_path cannot be used with synthetic data"):
        load("synthetic", users_path="users.csv")
    with pytest.raises(ValueError, match="items_path cannot be used with a MovieLens or goodbooks archive"):
        load(archive, items_path="items.csv")
    with pytest.raises(ValueError, match="columns cannot be used with a published data set by name"):
        load("ml-1m", columns=ColumnMapping())
