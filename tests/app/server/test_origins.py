from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from app.server.origins import OriginRules, OwnPagesOnly, origin_of

DEFAULTS = {
    "browser.serverAddress": "localhost",
    "server.address": None,
    "server.allowedHosts": [],
    "server.corsAllowedOrigins": [],
    "server.enableCORS": True,
}
LOCAL = "127.0.0.1:8501"


class Options:
    """Streamlit's configuration with some options set."""

    def __init__(self, **given: Any) -> None:
        self.given = {name.replace("_", "."): value for name, value in given.items()}

    def get_option(self, key: str) -> Any:
        return {**DEFAULTS, **self.given}[key]

    def is_manually_set(self, option_name: str) -> bool:
        return option_name in self.given


def rules(**given: Any) -> OriginRules:
    return OriginRules.of_streamlit(Options(**given))


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("http://127.0.0.1:8501", LOCAL, True),
        ("http://localhost:8501", LOCAL, True),
        ("http://127.0.0.1:8501", "localhost:8501", True),
        ("http://[::1]:8501", "localhost:8501", True),
        ("http://gpu.lab.example:8501", "gpu.lab.example:8501", True),
        ("http://GPU.lab.example:8501", "gpu.lab.example.:8501", True),
        # Behind a proxy that encrypts.
        ("https://gpu.lab.example", "gpu.lab.example", True),
        ("https://gpu.lab.example", "gpu.lab.example:443", True),
        ("http://gpu.lab.example", "gpu.lab.example:80", True),
        ("http://localhost:3000", LOCAL, False),
        ("http://localhost:8501", "gpu.lab.example:8501", False),
        ("http://gpu.lab.example:8501", LOCAL, False),
        ("https://gpu.lab.example", "gpu.lab.example:8501", False),
        ("https://evil.example", LOCAL, False),
        ("http://127.0.0.1:8501.evil.example", LOCAL, False),
        ("http://127.0.0.1:8501@evil.example", LOCAL, False),
        ("http://localhost.evil.example:8501", LOCAL, False),
        ("http://127.0.0.1:8501/path", LOCAL, False),
        ("http://127.0.0.1:99999", LOCAL, False),
        ("http://[::1", LOCAL, False),
        ("ftp://127.0.0.1:8501", LOCAL, False),
        ("null", LOCAL, False),
        ("", LOCAL, False),
        ("http://127.0.0.1:8501", None, False),
        ("http://127.0.0.1:8501", "[", False),
    ],
)
def test_only_the_studios_own_pages_are_allowed(origin: str, host: str | None, allowed: bool) -> None:
    assert rules().allows_origin(origin, host) is allowed


@pytest.mark.parametrize(
    ("given", "origin", "allowed"),
    [
        ({"server_corsAllowedOrigins": ["https://portal.example"]}, "https://portal.example", True),
        ({"server_corsAllowedOrigins": ["https://portal.example/"]}, "https://portal.example:443", True),
        ({"server_corsAllowedOrigins": ["https://portal.example"]}, "http://portal.example", False),
        ({"server_corsAllowedOrigins": ["https://portal.example"]}, "https://portal.example:8443", False),
        ({"browser_serverAddress": "studio.example"}, "https://studio.example", True),
        ({"browser_serverAddress": "https://studio.example"}, "https://studio.example:8443", True),
        ({"browser_serverAddress": "studio.example"}, "https://evil.example", False),
        # A name that every machine has does not tell which program the page comes from.
        ({"browser_serverAddress": "localhost"}, "http://localhost:3000", False),
        ({"browser_serverAddress": "127.0.0.1"}, "http://127.0.0.1:3000", False),
        ({"server_enableCORS": False}, "https://evil.example", True),
    ],
)
def test_streamlits_configuration_allows_more_origins(given: dict[str, Any], origin: str, allowed: bool) -> None:
    assert rules(**given).allows_origin(origin, LOCAL) is allowed


@pytest.mark.parametrize(
    ("given", "host", "allowed"),
    [
        # Reached from this machine alone: a name that is not local belongs to a foreign page.
        ({"server_address": "127.0.0.1"}, LOCAL, True),
        ({"server_address": "127.0.0.1"}, "localhost:8501", True),
        ({"server_address": "127.0.0.1"}, "studio.localhost:8501", True),
        ({"server_address": "::1"}, "[::1]:8501", True),
        ({"server_address": "localhost"}, "evil.example:8501", False),
        ({"server_address": "127.0.0.1"}, "evil.example:8501", False),
        ({"server_address": "127.0.0.1"}, "localhost.evil.example:8501", False),
        ({"server_address": "127.0.0.1"}, "127.0.0.1:x", False),
        ({"server_address": "127.0.0.1"}, None, True),
        ({"server_address": "127.0.0.1", "browser_serverAddress": "studio.example"}, "studio.example", True),
        ({"server_address": "127.0.0.1", "server_enableCORS": False}, "evil.example:8501", True),
        # On a network under a name of its own.
        ({"server_address": "0.0.0.0"}, "gpu.lab.example:8501", True),
        ({}, "gpu.lab.example:8501", True),
        ({"server_allowedHosts": ["gpu.lab.example"]}, "gpu.lab.example:8501", True),
        ({"server_allowedHosts": ["*.lab.example"]}, "gpu.lab.example:8501", True),
        ({"server_allowedHosts": ["*"]}, "gpu.lab.example:8501", True),
        ({"server_allowedHosts": ["gpu.lab.example"]}, "10.0.0.7:8501", True),
        ({"server_allowedHosts": ["*.lab.example"]}, "lab.example.evil:8501", False),
        ({"server_allowedHosts": ["gpu.lab.example"]}, "evil.example:8501", False),
    ],
)
def test_a_name_made_to_lead_here_is_refused_where_the_names_are_known(given: dict[str, Any], host: str | None, allowed: bool) -> None:
    assert rules(**given).allows_host(host) is allowed


def test_origins_are_compared_with_their_ports() -> None:
    assert origin_of("https://Studio.example") == ("https", "studio.example", 443)
    assert origin_of("//studio.example") is None


def asked(kind: str, headers: list[tuple[str, str]], method: str = "GET", extensions: bool = True) -> tuple[list[Message], list[Scope]]:
    """What is sent back for one request, and what the application behind was asked."""
    sent: list[Message] = []
    reached: list[Scope] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope)
        await PlainTextResponse("")(scope, receive, send)

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": f"{kind}.request"}

    scope = {"type": kind, "method": method, "path": "/", "headers": [(name.encode(), value.encode()) for name, value in headers]}
    if extensions:
        scope["extensions"] = {"websocket.http.response": {}}
    asyncio.run(OwnPagesOnly(application, rules)(scope, receive, send))
    return sent, reached


@pytest.mark.parametrize(
    ("kind", "method", "passes"),
    [("http", "GET", True), ("http", "HEAD", True), ("http", "PUT", False), ("http", "POST", False), ("websocket", "GET", False)],
)
def test_a_foreign_page_can_change_nothing(kind: str, method: str, passes: bool) -> None:
    sent, reached = asked(kind, [("host", LOCAL), ("origin", "https://evil.example")], method)
    assert bool(reached) is passes
    if not passes:
        assert sent[0]["status"] == 403
        assert b"https://evil.example" in sent[1]["body"]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("origin", [[], [("origin", "http://127.0.0.1:8501")]])
def test_programs_and_own_pages_pass_unchanged(kind: str, origin: list[tuple[str, str]]) -> None:
    headers = [("host", LOCAL), *origin]
    _, reached = asked(kind, headers, "PUT")
    assert reached[0]["headers"] == [(name.encode(), value.encode()) for name, value in headers]


def test_a_second_origin_hides_no_foreign_one() -> None:
    assert not asked("websocket", [("host", LOCAL), ("origin", "http://127.0.0.1:8501"), ("origin", "https://evil.example")])[1]


def test_streamlit_need_not_look_up_an_origin_that_is_allowed() -> None:
    (reached,) = asked("websocket", [("host", LOCAL), ("origin", "http://localhost:8501"), ("cookie", "a=b")])[1]
    assert reached["headers"] == [(b"host", LOCAL.encode()), (b"cookie", b"a=b")]


def test_a_server_without_answers_to_handshakes_closes_the_websocket() -> None:
    sent, _ = asked("websocket", [("host", LOCAL), ("origin", "https://evil.example")], extensions=False)
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_a_foreign_name_is_refused_for_reading_too_and_each_reason_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    middleware, statuses = OwnPagesOnly(PlainTextResponse(""), lambda: rules(server_address="127.0.0.1")), []

    async def send(message: Message) -> None:
        statuses.append(message.get("status"))

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"evil.example:8501\x1b[31m")]}
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            asyncio.run(middleware(scope, None, send))
    assert statuses == [403, None] * 3
    assert len(caplog.messages) == 1
    assert "\x1b" not in caplog.messages[0]
