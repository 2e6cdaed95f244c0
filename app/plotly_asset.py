"""The installed Plotly package's own JavaScript, served by the studio itself so that no page needs the network."""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

PLOTLY_PATH: Final = "/static-plotly/plotly.min.js"
# The version in the query lets browsers keep the file for good and still take the next one after an upgrade.
PLOTLY_URL: Final = f"{PLOTLY_PATH}?v={version('plotly')}"

_ONE_YEAR: Final = 365 * 24 * 3600


async def _plotly_js(request: Request) -> Response:
    keep = f"public, max-age={_ONE_YEAR}, immutable"
    path = files("plotly") / "package_data" / "plotly.min.js"
    return FileResponse(str(path), media_type="text/javascript", headers={"Cache-Control": keep})


PLOTLY_ROUTE: Final = Route(PLOTLY_PATH, _plotly_js, methods=["GET"])
