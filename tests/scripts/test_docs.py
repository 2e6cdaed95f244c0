"""Pages of `docs/` that are made from the code: up to date, and made as they should be."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from scripts import api_pages as api
from scripts import docs
from sparcode.glossary import TERMS
from sparcode.retrieval import contract, sparse


def test_the_pages_are_up_to_date() -> None:
    assert docs.differing() == [], "write them again with `make docs`"


def test_a_page_that_differs_is_named_and_written_again(tmp_path: Path) -> None:
    every = sorted(docs.pages())
    assert docs.write(tmp_path) == every
    assert docs.differing(tmp_path) == []
    (tmp_path / "docs/glossary.md").write_text("old")
    (tmp_path / "docs/api/gone.md").write_text("a room that is gone")
    assert docs.differing(tmp_path) == ["docs/api/gone.md", "docs/glossary.md"]
    assert docs.write(tmp_path) == ["docs/api/gone.md", "docs/glossary.md"]
    assert docs.differing(tmp_path) == []
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".new"]


def test_the_glossary_page_has_every_term() -> None:
    page = " ".join(docs.pages()["docs/glossary.md"].split())
    assert all(f"- **{term.name}**" in page and " ".join(term.meaning.split()) in page for term in TERMS.values())


def test_the_api_has_every_public_function_and_class_with_its_docstring() -> None:
    page = docs.pages()["docs/api/retrieval.md"]
    for module in (contract, sparse):
        public = [
            one
            for name, one in vars(module).items()
            if not name.startswith("_") and getattr(one, "__module__", "") == module.__name__ and (inspect.isclass(one) or callable(one))
        ]
        assert public
        assert all(f"\n### {one.__name__}\n" in page for one in public)
    assert inspect.getdoc(contract.check_k).replace("``", "`") in page
    assert "- `with_threshold(threshold: float | Cut) -> SparseRetriever`: " in page
    assert "_Nothing" not in page


def test_every_room_has_a_page_and_every_file_its_place() -> None:
    pages = docs.pages()
    assert {f"docs/api/{room}.md" for room in api.ROOMS} <= pages.keys()
    files = {path for room in api.ROOMS for path in (docs.ROOT / "sparcode" / room).glob("*.py")}
    named = {".".join(path.relative_to(docs.ROOT).with_suffix("").parts) for path in files}
    public = {name for name in named if not name.endswith(("kernels", "__init__"))}
    assert not [name for name in public if f"[{name}](api/" not in pages["docs/api.md"]]


def test_a_settings_model_is_a_table_of_its_fields() -> None:
    page = docs.pages()["docs/api/config.md"]
    assert "| `n_codebooks` | `1` | ≥ 1, ≤ 8 | Into how many parts a token is cut" in page
    assert "| `encoder` | `mean` | `mean`, `gru`, `sasrec` | " in page


def test_a_numpy_docstring_becomes_lists() -> None:
    source = 'def area(a):\n    """Area of ``a``.\n\n    Parameters\n    ----------\n    a\n        Side, in\n        metres.\n    """\n'
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef)
    assert api._function(node) == "### area\n\n```py\narea(a)\n```\n\nArea of `a`.\n\n**Parameters**\n\n- `a`: Side, in metres.\n"


@pytest.mark.parametrize("heading", ["sparcode.index.block_index", "sparcode.config"])
def test_a_link_leads_to_the_heading_that_github_names(heading: str) -> None:
    assert api._anchor(heading) == heading.replace(".", "")
