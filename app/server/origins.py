"""Middleware that answers the studio's own pages only: requests that another web page makes in a visitor's browser are refused.

Streamlit checks origins too, but for each unknown one it asks a service on the internet for this machine's address, and answers nobody
meanwhile. No request that would make it ask gets there.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

logger = logging.getLogger(__name__)

FORBIDDEN: Final = 403
# Methods that change nothing; a browser keeps the answer from a foreign page by itself.
READING: Final = ("GET", "HEAD", "OPTIONS")

_POLICY_VIOLATION: Final = 1008
_PORTS: Final = {"http": 80, "https": 443}
_SHOWN: Final = 100
# Different refusals that are logged; a page that keeps trying does not fill the disk.
_LOGGED: Final = 100


class Origin(NamedTuple):
    """Where a page comes from; the name in lower case, and the port always given."""

    scheme: str
    name: str
    port: int


class Options(Protocol):
    """The part of `streamlit.config` that is read."""

    def get_option(self, key: str) -> Any:
        """Value of an option."""

    def is_manually_set(self, option_name: str) -> bool:
        """Whether the option was set, and is not the default."""


@dataclass(frozen=True)
class OriginRules:
    """Which pages may make requests, and by which names the studio may be called.

    Attributes
    ----------
    any_origin
        Whether everything is allowed, because the check was switched off.
    origins
        Origins allowed beside the studio's own.
    server_name
        Name that visitors use, allowed as an origin with any port, such as that of a proxy; empty if there is none.
    hosts
        Names allowed in the Host header beside ``localhost`` and numeric addresses, ``*.`` in front for all below; None: any.
    """

    any_origin: bool = False
    origins: frozenset[Origin] = frozenset()
    server_name: str = ""
    hosts: tuple[str, ...] | None = None

    @classmethod
    def of_streamlit(cls, options: Options) -> OriginRules:
        """The rules that Streamlit's configuration asks for.

        A studio that only this machine reaches knows its names, so a Host header with another one is refused; on a network any name is
        allowed unless ``server.allowedHosts`` lists them.
        """
        named = options.get_option("browser.serverAddress") if options.is_manually_set("browser.serverAddress") else ""
        name = _name(named)
        listed = tuple(entry.strip().lower().rstrip(".") for entry in options.get_option("server.allowedHosts"))
        knows_names = bool(listed) or is_local(_name(options.get_option("server.address") or ""))
        return cls(
            any_origin=not options.get_option("server.enableCORS"),
            origins=frozenset(filter(None, map(origin_of, options.get_option("server.corsAllowedOrigins")))),
            server_name="" if is_local(name) else name,
            hosts=tuple(filter(None, (*listed, name))) if knows_names else None,
        )

    def allows_host(self, host: str | None) -> bool:
        """Whether the studio may be called by this Host header.

        A page whose own name was made to lead to this machine (DNS rebinding) has a name of its own, never a number or ``localhost``.
        """
        if self.any_origin or self.hosts is None or host is None:
            return True
        found = origin_of(f"http://{host}")
        if found is None:
            return False
        if is_local(found.name) or found.name.endswith(".localhost") or _is_number(found.name) or "*" in self.hosts:
            return True
        return any(found.name.endswith(known[1:]) if known.startswith("*.") else found.name == known for known in self.hosts)

    def allows_origin(self, origin: str, host: str | None) -> bool:
        """Whether a page of this origin may make requests to the studio called by this Host header."""
        if self.any_origin:
            return True
        page = origin_of(origin)
        if page is None:
            return False
        # A proxy that encrypts leaves the port out, as the page's scheme does.
        own = None if host is None else origin_of(f"{page.scheme}://{host}")
        if own is not None and page.port == own.port and (page.name == own.name or (is_local(page.name) and is_local(own.name))):
            return True
        return page in self.origins or (bool(self.server_name) and page.name == self.server_name)


def origin_of(text: str) -> Origin | None:
    """An Origin header's value in parts; None if it is none of a web page."""
    try:
        parts = urlsplit(text.strip())
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not name or "@" in parts.netloc or parts.path not in ("", "/") or parts.query or parts.fragment:
        return None
    return Origin(parts.scheme, name.rstrip("."), port or _PORTS[parts.scheme])


def is_local(name: str) -> bool:
    """Whether a name always stands for the machine it is used on: ``localhost`` or a loopback address."""
    return name == "localhost" or (_is_number(name) and ipaddress.ip_address(name).is_loopback)


class OwnPagesOnly:
    """Middleware that refuses what another web page asks for, and names that the studio does not have.

    Refused with status 403: a websocket or a changing request with a foreign Origin header, and any request with a Host header that the
    rules do not allow. A request without an Origin is not of a web page and passes.

    Parameters
    ----------
    rules
        Gives the rules, at the first request: the configuration is complete by then.
    """

    def __init__(self, app: ASGIApp, rules: Callable[[], OriginRules]) -> None:
        self.app = app
        self._rules = cache(rules)
        self._logged: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origins = headers.get("host"), headers.getlist("origin")
        if refusal := self._refusal(host, origins, scope):
            await self._refuse(refusal, scope, receive, send)
            return
        if scope["type"] == "websocket" and origins and urlsplit(origins[0]).netloc != host:
            # Allowed here, so Streamlit need not look up whether it is this machine.
            scope = {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"origin"]}
        await self.app(scope, receive, send)

    def _refusal(self, host: str | None, origins: list[str], scope: Scope) -> str:
        """Why a request is refused, in words; empty if it is not."""
        rules = self._rules()
        if not rules.allows_host(host):
            name = repr(host)[:_SHOWN]
            return f"The studio is not known by the name {name}. If it is, start it with --browser.serverAddress and this name."
        if scope["type"] == "http" and scope["method"] in READING:
            return ""
        if len(origins) > 1 or not all(rules.allows_origin(origin, host) for origin in origins):
            page = repr(", ".join(origins))[:_SHOWN]
            return f"The studio does not answer other web pages; this one is {page}. To allow it, start with --server.corsAllowedOrigins."
        return ""

    async def _refuse(self, reason: str, scope: Scope, receive: Receive, send: Send) -> None:
        if reason not in self._logged and len(self._logged) < _LOGGED:
            self._logged.add(reason)
            logger.warning("Refused: %s", reason)
        if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
            # Answered as status 403 by the server, without the reason.
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        else:
            await PlainTextResponse(reason, FORBIDDEN)(scope, receive, send)


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(address: str) -> str:
    """The host name in an option that holds a name or an address of a page."""
    found = origin_of(address if "//" in address else f"http://{f'[{address}]' if address.count(':') > 1 else address}")
    return found.name if found else ""
