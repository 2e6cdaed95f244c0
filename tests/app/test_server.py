from __future__ import annotations

import gzip
import hashlib
import tomllib
import urllib.request
from importlib.resources import files
from pathlib import Path

import pytest

from app.server.middleware import OWNER_COOKIE, SECURITY_HEADERS
from app.server.plotly_asset import PLOTLY_URL


@pytest.mark.parametrize("path", ["/", "/any-page?threshold=0.5"])
def test_a_document_carries_security_headers_and_an_owner(studio_url: str, path: str) -> None:
    with urllib.request.urlopen(studio_url + path) as answer:
        assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
        cookies = [value for value in answer.headers.get_all("Set-Cookie") if value.startswith(OWNER_COOKIE)]
    assert len(cookies) == 1


def test_plotly_comes_from_the_installed_package_to_keep_and_without_an_owner(studio_url: str) -> None:
    request = urllib.request.Request(studio_url + PLOTLY_URL, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as answer:
        body = gzip.decompress(answer.read())
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["Set-Cookie"] is None
    installed = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    assert hashlib.sha256(body).digest() == hashlib.sha256(installed).digest()


def test_a_document_lets_the_browser_fetch_plotly_beside_it(studio_url: str) -> None:
    with urllib.request.urlopen(studio_url) as answer:
        assert answer.headers["Link"] == f"<{PLOTLY_URL}>; rel=preload; as=script"
    with urllib.request.urlopen(f"{studio_url}/_stcore/health") as answer:
        assert answer.headers["Link"] is None
    with urllib.request.urlopen(studio_url + PLOTLY_URL) as answer:
        assert answer.headers["Content-Encoding"] is None
        assert answer.headers["Vary"] == "Accept-Encoding"


def test_collection_after_each_run_is_off_and_nothing_is_reported_home(repository: Path) -> None:
    config = tomllib.loads((repository / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["runner"]["postScriptGC"] is False
    assert config["browser"]["gatherUsageStats"] is False
    assert config["server"]["address"] == "127.0.0.1"


def test_no_message_refers_to_an_earlier_one_and_no_folder_is_watched(repository: Path) -> None:
    config = tomllib.loads((repository / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["global"]["minCachedMessageSize"] > 1e6 * config["server"]["maxMessageSize"]
    assert config["server"]["fileWatcherType"] == "none"
