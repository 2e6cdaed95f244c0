from __future__ import annotations

import gzip
import hashlib
import socket
import threading
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.server.middleware import CONTENT_POLICY, OWNER_COOKIE, SECURITY_HEADERS
from app.server.plotly_asset import BASIC, SCRIPT, WHOLE, Bundle
from scripts.studio_in_browser import running_studio


@pytest.mark.parametrize("path", ["/", "/any-page?threshold=0.5"])
def test_a_document_carries_security_headers_and_an_owner(studio_url: str, path: str) -> None:
    with urllib.request.urlopen(studio_url + path) as answer:
        assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
        assert answer.headers[CONTENT_POLICY].count("'sha256-") == 1
        cookies = [value for value in answer.headers.get_all("Set-Cookie") if value.startswith(OWNER_COOKIE)]
    assert len(cookies) == 1


@pytest.mark.parametrize("bundle", [BASIC, WHOLE])
def test_plotly_comes_from_the_studio_to_keep_and_without_an_owner(studio_url: str, bundle: Bundle) -> None:
    request = urllib.request.Request(studio_url + bundle.url, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as answer:
        body = gzip.decompress(answer.read())
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["Set-Cookie"] is None
    assert hashlib.sha256(body).digest() == hashlib.sha256(bundle.path.read_bytes()).digest()
    with urllib.request.urlopen(studio_url + bundle.url) as answer:
        assert answer.headers["Content-Encoding"] is None
        assert answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("path", ["/", "/explorer?m=2"])
def test_a_document_has_the_browser_run_plotly_beside_streamlit_and_no_other_answer_does(studio_url: str, path: str) -> None:
    # As a browser asks for it: compressed, it could not be written into.
    request = urllib.request.Request(studio_url + path, headers={"Accept": "text/html,*/*", "Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as answer:
        document = answer.read()
        assert document.count(SCRIPT.encode()) == 1
        assert document.count(b"<body>") == 1
        assert answer.headers["ETag"] is None
    with urllib.request.urlopen(urllib.request.Request(f"{studio_url}/_stcore/health", headers={"Accept": "text/html"})) as answer:
        assert SCRIPT.encode() not in answer.read()


def test_collection_after_each_run_is_off_and_nothing_is_reported_home(repository: Path) -> None:
    config = tomllib.loads((repository / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["runner"]["postScriptGC"] is False
    assert config["browser"]["gatherUsageStats"] is False
    assert config["server"]["address"] == "127.0.0.1"


def test_no_message_refers_to_an_earlier_one_and_no_folder_is_watched(repository: Path) -> None:
    config = tomllib.loads((repository / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["global"]["minCachedMessageSize"] > 1e6 * config["server"]["maxMessageSize"]
    assert config["server"]["fileWatcherType"] == "none"


@pytest.fixture
def looked_up() -> Iterator[tuple[str, list[str]]]:
    """Address of a proxy that has no answer, and the first line of each request that came to it."""
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.requestline)
            self.send_error(502)

        do_CONNECT = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def handshake(address: str, origin: str) -> int:
    """Status of the answer to a websocket's handshake."""
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
        lines = (
            "GET /_stcore/stream HTTP/1.1", f"Host: {place.netloc}", f"Origin: {origin}", "Connection: Upgrade", "Upgrade: websocket",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", "",
        )  # fmt: skip
        connection.sendall("\r\n".join(lines).encode())
        return int(connection.recv(1000).split()[1])


def test_no_start_and_no_foreign_page_makes_the_studio_ask_a_service_for_its_address(
    tiny_environment: dict[str, str], looked_up: tuple[str, list[str]]
) -> None:
    proxy, asked = looked_up
    environment = {**tiny_environment, "http_proxy": proxy, "https_proxy": proxy, "no_proxy": "", "STREAMLIT_SERVER_ADDRESS": "0.0.0.0"}
    with running_studio(environment, module="tests.tiny_studio") as address:
        statuses = [handshake(address, f"https://page-{number}.example") for number in range(20)]
        assert statuses == [403] * 20
        assert handshake(address, address) == 101
    assert asked == []


def test_a_foreign_name_of_a_studio_for_this_machine_is_refused(studio_url: str) -> None:
    request = urllib.request.Request(f"{studio_url}/_stcore/health", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request)
