"""A client of the HTTP service that keeps its connection open; one per thread."""

from __future__ import annotations

import http.client
import json
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit


class ServiceError(Exception):
    """The service refused a request; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ServiceClient:
    """Asks a service at an address such as ``http://127.0.0.1:8080``.

    `timeout` are seconds for each answer. Everything asked is a reading, so a request whose kept connection had been closed meanwhile is
    sent once more on a new one. OSError or `http.client.HTTPException` where the service is not reached, `ServiceError` where it refuses;
    ValueError for an address of another kind.
    """

    def __init__(self, address: str, timeout: float = 30.0) -> None:
        parts = urlsplit(address)
        if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
            raise ValueError(f"the address must be such as http://127.0.0.1:8080; got {address!r}")
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)

    def __enter__(self) -> ServiceClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def retrieve(self, items: list[str], k: int = 10, **more: Any) -> tuple[list[str], list[float]]:
        """Item ids and scores for one history, best first; `more` are `about`, `threshold`, `allow` and `deny`."""
        (result,) = self._post("/retrieve", {"items": items, "k": k, **more})["results"]
        return result["item_ids"], result["scores"]

    def retrieve_batch(self, queries: list[Any], k: int = 10, **more: Any) -> list[tuple[list[str], list[float]]]:
        """The same for several histories; each a list of item ids, or an object with `items` and `about`."""
        results = self._post("/retrieve", {"queries": queries, "k": k, **more})["results"]
        return [(result["item_ids"], result["scores"]) for result in results]

    def explain(self, items: list[str], item: str, **more: Any) -> dict[str, Any]:
        """What each code of one history adds to an item's score; `more` are `about` and `threshold`."""
        return self._post("/explain", {"items": items, "item": item, **more})

    def health(self) -> dict[str, Any]:
        """State and run of the service."""
        return json.loads(self._ask("GET", "/health"))

    def metrics(self) -> str:
        """All figures in Prometheus's text format."""
        return self._ask("GET", "/metrics").decode()

    def close(self) -> None:
        """Close the connection; the next request opens it again."""
        self._connection.close()

    def _post(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        return json.loads(self._ask("POST", path, json.dumps(asked).encode()))

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {} if body is None else {"content-type": "application/json"}
        is_kept = self._connection.sock is not None
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            answer = response.read()
        except (ConnectionError, http.client.BadStatusLine):
            self.close()
            if not is_kept:
                raise
            return self._ask(method, path, body)
        except BaseException:
            # Half an exchange must not be taken for the answer to the next request.
            self.close()
            raise
        if response.status != 200:
            raise ServiceError(response.status, _message(answer))
        return answer


def _message(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace")
