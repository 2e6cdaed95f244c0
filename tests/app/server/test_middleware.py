from __future__ import annotations

import asyncio
from http.cookies import SimpleCookie

import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message

from app.server.middleware import (
    CONTENT_POLICY,
    OWNER_COOKIE,
    SECURITY_HEADERS,
    OwnerCookie,
    SecurityHeaders,
    content_policy,
    inline_scripts,
    is_owner,
)


def get(app: ASGIApp, scheme: str = "http", **request_headers: str) -> list[tuple[str, str]]:
    """Headers of the answer to one GET request."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in request_headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "scheme": scheme, "headers": headers}
    asyncio.run(app(scope, receive, send))
    return [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]


def owner_cookie(headers: list[tuple[str, str]]) -> SimpleCookie:
    return SimpleCookie("".join(value for name, value in headers if name == "set-cookie"))


def test_every_response_carries_the_security_headers() -> None:
    headers = dict(get(SecurityHeaders(JSONResponse({}))))
    assert {name.lower(): value for name, value in SECURITY_HEADERS.items()}.items() <= headers.items()


def policy(**given: object) -> dict[str, list[str]]:
    """Sources by directive."""
    return {name: sources for name, *sources in (part.split() for part in content_policy(**given).split("; "))}


def test_the_policy_names_no_other_place_than_the_studio() -> None:
    sources = policy(host="gpu.lab.example:8501", inline=["sha256-abc="])
    allowed = {
        "'self'",
        "'none'",
        "blob:",
        "data:",
        "'unsafe-inline'",
        "'sha256-abc='",
        "ws://gpu.lab.example:8501",
        "wss://gpu.lab.example:8501",
    }
    assert set().union(*sources.values()) <= allowed
    assert sources["default-src"] == sources["frame-ancestors"] == ["'self'"]
    assert sources["script-src"] == ["'self'", "blob:", "'sha256-abc='"]
    assert sources["connect-src"] == ["'self'", "ws://gpu.lab.example:8501", "wss://gpu.lab.example:8501"]


@pytest.mark.parametrize("host", ["evil.example; script-src *", "a b", "*", "", "[::1]:8501"])
def test_a_host_header_adds_nothing_else_to_the_policy(host: str) -> None:
    assert policy(host=host)["connect-src"] == ["'self'"]
    assert dict(get(SecurityHeaders(JSONResponse({})), host=host))[CONTENT_POLICY.lower()] == content_policy()


def test_inline_scripts_are_named_by_their_hash() -> None:
    # The example of the specification.
    document = b"<script src=\"a.js\"></script><script>alert('Hello, world.');</script>"
    assert inline_scripts(document) == ["sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng="]


def test_a_response_keeps_a_header_it_sets_itself() -> None:
    answer = Response(headers={"Referrer-Policy": "no-referrer"})
    assert [value for name, value in get(SecurityHeaders(answer)) if name == "referrer-policy"] == ["no-referrer"]


def test_a_new_browser_gets_an_owner_that_scripts_cannot_read() -> None:
    cookie = owner_cookie(get(OwnerCookie(HTMLResponse(""))))[OWNER_COOKIE]
    assert is_owner(cookie.value)
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert not cookie["secure"]
    assert owner_cookie(get(OwnerCookie(HTMLResponse("")), scheme="https"))[OWNER_COOKIE]["secure"]


def test_browsers_get_different_owners_and_keep_them() -> None:
    app = OwnerCookie(HTMLResponse(""))
    owner = owner_cookie(get(app))[OWNER_COOKIE].value
    assert owner_cookie(get(app))[OWNER_COOKIE].value != owner
    assert not owner_cookie(get(app, cookie=f"{OWNER_COOKIE}={owner}"))


@pytest.mark.parametrize("forged", ["", "short", "x" * 33, "../" * 10 + "ab"])
def test_a_malformed_owner_is_replaced(forged: str) -> None:
    assert is_owner(owner_cookie(get(OwnerCookie(HTMLResponse("")), cookie=f"{OWNER_COOKIE}={forged}"))[OWNER_COOKIE].value)


@pytest.mark.parametrize(
    ("answer", "accept", "sets"),
    [
        (JSONResponse({}), "text/html", False),
        (Response(status_code=304), "*/*", False),
        # A document that the browser has kept.
        (Response(status_code=304), "text/html,*/*", True),
    ],
)
def test_only_documents_set_the_cookie(answer: Response, accept: str, sets: bool) -> None:
    assert bool(owner_cookie(get(OwnerCookie(answer), accept=accept))) == sets
