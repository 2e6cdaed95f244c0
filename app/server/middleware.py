"""Middleware that adds security headers, and an owner cookie that identifies a browser."""

from __future__ import annotations

import re
import secrets
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OWNER_COOKIE: Final = "sparcode_owner"
SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "frame-ancestors 'self'",
    "Referrer-Policy": "same-origin",
}

_OWNER_BYTES: Final = 24
_OWNER_PATTERN: Final = re.compile(r"[A-Za-z0-9_-]{32}")
_OWNER_SECONDS: Final = 180 * 24 * 3600


def is_owner(value: str | None) -> bool:
    """Whether a value has the form of the cookie `OWNER_COOKIE`: 32 characters of URL-safe base64."""
    return value is not None and _OWNER_PATTERN.fullmatch(value) is not None


class SecurityHeaders:
    """Middleware that adds `SECURITY_HEADERS` to each response, unless the response set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the headers to the response."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


class OwnerCookie:
    """Middleware that gives a browser without an owner cookie a random one, on the first HTML document it loads.

    Jobs belong to the owner, so a shared link shows a run without handing over control of it. Other responses stay unchanged because shared
    caches may keep them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the cookie to a returned document."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        if is_owner(request.cookies.get(OWNER_COOKIE)):
            await self.app(scope, receive, send)
            return

        asks_for_document = "text/html" in request.headers.get("accept", "")
        secure = "; Secure" if scope.get("scheme") == "https" else ""

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # A cached document comes back as 304, which has no content type.
                unchanged = message["status"] == 304 and asks_for_document
                if unchanged or headers.get("content-type", "").startswith("text/html"):
                    owner = secrets.token_urlsafe(_OWNER_BYTES)
                    cookie = f"{OWNER_COOKIE}={owner}; Path=/; Max-Age={_OWNER_SECONDS}; HttpOnly; SameSite=Lax{secure}"
                    headers.append("Set-Cookie", cookie)
            await send(message)

        await self.app(scope, receive, send_with_cookie)
