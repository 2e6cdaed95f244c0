"""The HTTP side of the service: routes, limits, errors as JSON, figures for Prometheus."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sparcode.service.answers import Answers
from sparcode.service.metrics import CONTENT_TYPE, Metrics

JSON_TYPE = "application/json"
# Up to so many queries, and item ids in all, are answered in the event loop itself. Measured by `benchmarks/service.py`: the way to a
# thread and back takes about as long as one query, and other connections wait no longer for a query than for the reading of a request.
# What takes longer goes to a thread; its loops release the interpreter, so other requests are answered meanwhile.
INLINE_QUERIES, INLINE_IDS = 4, 1000


def make_app(answers: Answers) -> Starlette:
    """The application of one worker: `POST /retrieve`, `POST /explain`, `GET /health` and `GET /metrics`."""
    metrics = Metrics()

    async def retrieve(request: Request) -> Response:
        asked = await read_json(request, answers.limits.body_bytes)
        n_queries, n_ids = _size(asked)
        is_short = n_queries <= INLINE_QUERIES and n_ids <= INLINE_IDS and answers.keeps(asked.get("threshold"))
        found = answers.retrieve(asked) if is_short else await run_in_threadpool(answers.retrieve, asked)
        request.state.queries = n_queries
        return JSONResponse(found)

    async def explain(request: Request) -> Response:
        asked = await read_json(request, answers.limits.body_bytes)
        # Reads whole lists, cut or not.
        return JSONResponse(await run_in_threadpool(answers.explain, asked))

    async def health(request: Request) -> Response:
        # A worker takes connections only once it is warm.
        return JSONResponse({"status": "ready", "run_id": answers.run_id, "items": answers.n_items, "threshold": answers.cut.threshold})

    async def figures(request: Request) -> Response:
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE})

    def route(path: str, answer: Callable[[Request], Awaitable[Response]], method: str) -> Route:
        async def counted(request: Request) -> Response:
            started = time.perf_counter()
            request.state.queries, status = 0, 500
            try:
                response = await _answer(request, answer)
                status = response.status_code
                return response
            finally:
                metrics.count(path, status, time.perf_counter() - started, request.state.queries)

        return Route(path, counted, methods=[method])

    routes = [
        route("/retrieve", retrieve, "POST"),
        route("/explain", explain, "POST"),
        route("/health", health, "GET"),
        route("/metrics", figures, "GET"),
    ]

    async def no_such_place(request: Request, error: HTTPException) -> Response:
        offered = ", ".join(f"{'GET' if 'GET' in one.methods else 'POST'} {one.path}" for one in routes)
        return _refusal(
            error.status_code, f"{request.method:.20} {request.url.path:.80} is not offered; allowed are {offered}", error.headers
        )

    async def fault(request: Request, error: Exception) -> Response:
        return _refusal(500, "the service failed; its log says why")

    return Starlette(routes=routes, exception_handlers={404: no_such_place, 405: no_such_place, Exception: fault})


def _size(asked: dict[str, Any]) -> tuple[int, int]:
    """Queries and item ids of a request that has not been checked yet."""
    batch = asked.get("queries")
    queries: list[Any] = batch if isinstance(batch, list) else [asked.get("items")]
    lists = [*(query.get("items") if isinstance(query, dict) else query for query in queries), asked.get("allow"), asked.get("deny")]
    return len(queries), sum(len(ids) for ids in lists if isinstance(ids, list))


async def _answer(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    # Programs send no Origin; a web page that a person on this machine has open must not reach the service.
    if "origin" in request.headers:
        return _refusal(403, "requests of web pages are refused; ask from a program")
    try:
        return await answer(request)
    except ValueError as error:
        return _refusal(400, str(error))
    except HTTPException as error:
        return _refusal(error.status_code, error.detail, error.headers)
    except ClientDisconnect:
        return _refusal(400, "the request ended before its body did")


async def read_json(request: Request, limit: int) -> dict[str, Any]:
    """A request's JSON object.

    HTTPException if its content type is another (415) or it is longer than `limit` bytes (413); ValueError if it is no JSON object.
    """
    if (got := request.headers.get("content-type", "").partition(";")[0].strip().lower()) != JSON_TYPE:
        raise HTTPException(415, f"the content type must be {JSON_TYPE}; got {got[:80] or 'none'}")
    # A body that is not read to its end closes the connection.
    too_long = HTTPException(413, f"the body may have {limit:,} bytes", {"connection": "close"})
    length = request.headers.get("content-length", "0")
    if len(length) > 18 or int(length) > limit:
        raise too_long
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise too_long
    try:
        asked = json.loads(body, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("the body is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"the body is not valid JSON: {error}") from error
    if not isinstance(asked, dict):
        raise ValueError(f"the body must be a JSON object; got {type(asked).__name__}")
    return asked


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _refusal(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    # JSON may hold half a character, which UTF-8 cannot.
    return JSONResponse({"error": message.encode(errors="replace").decode()}, status, headers)
