"""Middleware that adds security headers, and an owner cookie that identifies a browser."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OWNER_COOKIE: Final = "sparcode_owner"
CONTENT_POLICY: Final = "Content-Security-Policy"
SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}

# Scripts of components come as blobs, which only a script that is allowed already can make; styles are inline everywhere in Streamlit.
_POLICY: Final = {
    "default-src": "'self'",
    "script-src": "'self' blob:",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'self'",
}
_INLINE_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
# What may be written into the policy; the header could hold anything.
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(:[0-9]+)?")
_OWNER_BYTES: Final = 24
_OWNER_PATTERN: Final = re.compile(r"[A-Za-z0-9_-]{32}")
_OWNER_SECONDS: Final = 180 * 24 * 3600


def is_owner(value: str | None) -> bool:
    """Whether a value has the form of the cookie `OWNER_COOKIE`: 32 characters of URL-safe base64."""
    return value is not None and _OWNER_PATTERN.fullmatch(value) is not None


def content_policy(host: str | None = None, inline: Sequence[str] = ()) -> str:
    """The Content-Security-Policy: nothing comes from, or goes to, another place than the studio.

    Parameters
    ----------
    host
        Host header of the request; some browsers need its websocket named beside ``'self'``.
    inline
        Hashes of the inline scripts that may run, see `inline_scripts`.
    """
    added = {"script-src": [f"'{digest}'" for digest in inline]}
    if host is not None and _HOST.fullmatch(host):
        added["connect-src"] = [f"ws://{host}", f"wss://{host}"]
    return "; ".join(" ".join([name, sources, *added.get(name, ())]) for name, sources in _POLICY.items())


def inline_scripts(document: bytes) -> list[str]:
    """Hashes of the inline scripts of an HTML document, as a Content-Security-Policy names them: ``sha256-...``."""
    return [f"sha256-{base64.b64encode(hashlib.sha256(found).digest()).decode()}" for found in _INLINE_SCRIPT.findall(document)]


class SecurityHeaders:
    """Middleware that adds `SECURITY_HEADERS` and the policy to each response, unless the response set its own.

    Parameters
    ----------
    inline
        As for `content_policy`.
    """

    def __init__(self, app: ASGIApp, inline: Sequence[str] = ()) -> None:
        self.app = app
        self._inline = inline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the headers to the response."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault(CONTENT_POLICY, content_policy(Headers(scope=scope).get("host"), self._inline))
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
