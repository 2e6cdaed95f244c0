from __future__ import annotations

import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pooch
import pytest

from sparcode.data import fetching
from sparcode.data.fetching import MIRROR_VARIABLE, cache_folder, cached_archive, download, is_published
from sparcode.data.loading import load
from sparcode.data.published import GOODBOOKS_TERMS, MOVIELENS_TERMS, PUBLISHED
from tests.data.test_goodbooks import FILES as GOODBOOKS
from tests.data.test_movielens import files_1m, files_100k, many, write_zip

ARCHIVES = {
    "ml-100k": ("ml-100k.zip", "ml-100k", files_100k(many())),
    "ml-1m": ("ml-1m.zip", "ml-1m", files_1m(many())),
    "ml-10m": ("ml-10m.zip", "ml-10M100K", files_1m(many()) | {"tags.dat": b""}),
    "goodbooks": ("goodbooks-10k.zip", "goodbooks-10k", GOODBOOKS),
}


class Server:
    """Archives in their real layout on this machine; a path that begins with /broken ends halfway."""

    def __init__(self, folder: Path) -> None:
        self.contents = {f"/{file}": write_zip(folder / file, files, top).read_bytes() for file, top, files in ARCHIVES.values()}
        self.asked: list[str] = []
        self.address = ""

    def checksum(self, name: str) -> str:
        return "sha256:" + hashlib.sha256(self.contents[f"/{ARCHIVES[name][0]}"]).hexdigest()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    served = Server(tmp_path)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            content = served.contents.get(self.path.removeprefix("/broken"))
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if content is not None:
                self.wfile.write(content[: len(content) // 2] if self.path.startswith("/broken") else content)

        def log_message(self, *args: object) -> None:
            pass

    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        served.address = f"http://127.0.0.1:{httpd.server_port}"
        yield served
        httpd.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_published_set_is_fetched_once_from_a_mirror_and_read(
    server: Server, name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, server.address)
    assert cached_archive(name) is None
    path = download(name, accept_terms=True, expected_checksum=server.checksum(name))
    assert "100%" in capfd.readouterr().err
    assert path == cached_archive(name) == cache_folder() / f"{name}.zip"
    assert load(name).name == PUBLISHED[name].title
    assert download(name, accept_terms=True, expected_checksum=server.checksum(name), progress=False) == path
    assert server.asked == [f"/{ARCHIVES[name][0]}"]


def test_a_copy_is_told_from_the_published_file_by_its_checksum(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ml-100k", "ml-1m"):
        (tmp_path / f"{name}.zip").write_bytes(server.contents[f"/{name}.zip"])
        algorithm, _, _ = PUBLISHED[name].checksum.partition(":")
        checksum = f"{algorithm}:{hashlib.new(algorithm, server.contents[f'/{name}.zip']).hexdigest()}"
        monkeypatch.setitem(PUBLISHED, name, PUBLISHED[name]._replace(checksum=checksum))
    for file, name in product(("ml-100k", "ml-1m"), repeat=2):
        assert is_published(tmp_path / f"{file}.zip", name) == (file == name)


def test_progress_is_told_and_ends_the_download_where_it_raises(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_BLOCK_BYTES", 128)
    told: list[tuple[int, int]] = []
    url, checksum = f"{server.address}/ml-100k.zip", server.checksum("ml-100k")

    def stop(done: int, total: int) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        download("ml-100k", accept_terms=True, url=url, expected_checksum=checksum, on_progress=stop)
    assert not [path for path in cache_folder().rglob("*") if path.is_file()]
    download("ml-100k", accept_terms=True, url=url, expected_checksum=checksum, on_progress=lambda *now: told.append(now))
    total = len(server.contents["/ml-100k.zip"])
    assert len(told) > 2
    assert told == sorted(told)
    assert told[-1] == (total, total)


@pytest.mark.parametrize(("name", "terms"), [("ml-100k", MOVIELENS_TERMS), ("goodbooks", GOODBOOKS_TERMS)])
def test_the_terms_come_before_anything_else(server: Server, name: str, terms: str) -> None:
    with pytest.raises(ValueError, match="terms are accepted") as error:
        download(name, url=f"{server.address}/{name}.zip")
    assert terms in str(error.value)
    assert server.asked == []
    assert cached_archive(name) is None


@pytest.mark.parametrize("name", ARCHIVES)
def test_another_file_is_refused_by_the_publishers_checksum(server: Server, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, f"{server.address}/")
    with pytest.raises(ValueError, match=f"is not the expected {re.escape(PUBLISHED[name].title)} archive"):
        download(name, accept_terms=True, progress=False)
    assert server.asked == [f"/{ARCHIVES[name][0]}"]
    assert cached_archive(name) is None
    assert not [path for path in cache_folder().rglob("*") if path.is_file()]


def test_a_broken_connection_leaves_nothing_and_the_next_attempt_succeeds(server: Server) -> None:
    checksum = server.checksum("ml-1m")
    with pytest.raises(OSError, match=r"could not download MovieLens 1M from http://127.*/broken/ml-1m\.zip"):
        download("ml-1m", accept_terms=True, url=f"{server.address}/broken/ml-1m.zip", expected_checksum=checksum, progress=False)
    assert not [path for path in cache_folder().rglob("*") if path.is_file()]
    assert download("ml-1m", accept_terms=True, url=f"{server.address}/ml-1m.zip", expected_checksum=checksum, progress=False).is_file()


def test_a_missing_file_and_a_server_that_is_not_there_are_told(server: Server) -> None:
    for address, says in ((f"{server.address}/gone.zip", "404"), ("http://127.0.0.1:9/x.zip", "refused")):
        with pytest.raises(OSError, match=f"could not download MovieLens 100K from http://127.*{says}"):
            download("ml-100k", accept_terms=True, url=address, progress=False)


def test_unknown_data_sets_are_named() -> None:
    for ask in (lambda: download("ml-7", accept_terms=True), lambda: cached_archive("ml-7")):
        with pytest.raises(ValueError, match="unknown data set 'ml-7'; known: ml-100k, ml-1m, ml-10m, goodbooks"):
            ask()


def test_addresses_are_the_publishers_and_every_file_has_a_checksum() -> None:
    urls = {name: each.url for name, each in PUBLISHED.items()}
    assert urls.pop("goodbooks").startswith("https://github.com/zygmuntz/goodbooks-10k/")
    assert urls == {name: f"https://files.grouplens.org/datasets/movielens/{name}.zip" for name in ("ml-100k", "ml-1m", "ml-10m")}
    lengths = {"md5": 32, "sha256": 64}
    for each in PUBLISHED.values():
        algorithm, _, digits = each.checksum.partition(":")
        assert re.fullmatch(rf"[0-9a-f]{{{lengths[algorithm]}}}", digits)
        assert each.url in each.address
