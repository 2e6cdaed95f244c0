"""Pages run inside the test, and what to wait for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Widget

from app.jobs.job import JobSnapshot
from app.models.backbones import backbone_key
from app.session import loaders
from app.session.configuration import Configuration
from app.studio import Studio
from sparcode.config import RunConfig
from tests.app import open_studio
from tests.fakes import PATIENCE

# Charts of the Index Explorer that depend on the threshold.
MOVING = {
    *("Accuracy against threshold", "Recall against index size", "Recall against latency"),
    *("Scores and the cut", "Length of posting lists", "Memory by part"),
}
# Whether a page looks again by itself.
LIVE = (
    "explorer_live",
    "compare_live",
    "comparison_live",
    "train_live",
    "scale_live",
    "runs_live",
    "sweep_live",
    "query_live",
    "space_live",
    "lessons_live",
)
ENTRY = Path(__file__).resolve().parents[2] / "app" / "main.py"


def studio() -> Studio:
    """The studio behind the pages."""
    return loaders.studio()


def config_of(**chosen: str) -> RunConfig:
    """The studio's settings with a visitor's choice."""
    return Configuration(**chosen).run_config(studio().config)


def opened(file: str = "overview.py", **address: str) -> AppTest:
    """A page of the studio, by its file, once the backbone is trained (or its training has failed)."""
    ended(own_backbone())
    return visited(file, **address)


def control(kind: Sequence[Widget], key: str) -> Any:
    """The widget of a setting, among all of its kind on a page."""
    return kind[setting_keys(kind).index(key)]


def setting_keys(kind: Sequence[Widget]) -> list[str]:
    """Keys of the settings of all widgets of a kind on a page."""
    return [str(widget.key).partition("#")[0] for widget in kind]


def own_backbone() -> str:
    """Key of the job that trains the backbone of the studio's own settings."""
    return backbone_key(studio().config)


def visited(file: str, **address: str) -> AppTest:
    """A page as it stands, whatever goes on."""
    app = AppTest.from_file(ENTRY, default_timeout=PATIENCE).run()
    # Pages can only be switched to once the entry script has named them.
    app.switch_page(f"../pages/{file}")
    for name, value in address.items():
        app.query_params[name] = value
    return app.run()


def ended(key: str) -> JobSnapshot:
    """A job once it is over."""
    return open_studio.ended(studio(), key)


def settled(app: AppTest) -> AppTest:
    """The page once nothing that it waits for goes on; a browser would look again by its timer."""
    for _ in range(50):
        for key in studio().at_work():
            ended(key)
        app.run()
        if not any(key in app.session_state and app.session_state[key] for key in LIVE):
            return app
    raise AssertionError("the page does not come to rest")


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def click(app: AppTest, label: str) -> AppTest:
    (found,) = [button for button in app.button if button.label == label]
    return found.click().run()


def markdown(app: AppTest) -> str:
    return "\n".join(text.value for text in app.markdown)


def mounted(app: AppTest) -> list[dict[str, Any]]:
    """What every component of the studio's own was given."""
    return [json.loads(element.proto.json) for element in app.get("bidi_component")]


def tiles(app: AppTest) -> dict[str, dict[str, str]]:
    """Name -> texts of every figure tile."""
    return {tile["name"]: tile for given in mounted(app) for tile in given.get("tiles", ())}


def figures(app: AppTest) -> dict[str, str]:
    """Label -> value of every figure, on a card or a tile; a tile's kind of model is part of its label."""
    cards = {metric.label: metric.value for metric in app.metric}
    return cards | {f"{tile['label']} · {tile['kind']}": tile["value"] for tile in tiles(app).values()}


def charts(app: AppTest) -> dict[str, dict[str, Any]]:
    """Name -> Plotly figure of every live chart; above the name may stand a takeaway."""
    drawn = [json.loads(given["figure"]) for given in mounted(app) if "figure" in given]
    return {figure["layout"]["uirevision"]: figure for figure in drawn}


def described(app: AppTest) -> list[str]:
    """What every live chart tells people who do not see it."""
    return [given["alt"] for given in mounted(app) if "figure" in given]


def slider(app: AppTest) -> dict[str, Any]:
    """What the threshold's slider was given."""
    (found,) = [given for given in mounted(app) if "percents" in given]
    return found


def chart_places(app: AppTest) -> list[tuple[int, ...]]:
    """Where every live chart stands in the page's tree; one that moves is built anew by the browser, and a reader's zoom is gone."""
    return [path for path, node in _nodes(app.main, ()) if node.type == "bidi_component" and "figure" in json.loads(node.proto.json)]


def _nodes(node: Any, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Any]]:
    yield path, node
    for at, child in getattr(node, "children", {}).items():
        yield from _nodes(child, (*path, at))


def run_rows(app: AppTest) -> list[dict[str, Any]]:
    """Rows of the table of runs, newest first."""
    (found,) = [given for given in mounted(app) if "runs" in given]
    return found["runs"]
