from __future__ import annotations

import json
import shlex
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect
from typer.testing import CliRunner

from app.session.settings import KEPT
from sparcode.cli import app
from sparcode.metrics.registry import METRICS
from tests.pages.browser_pages import PATIENCE_MS, Visit, value_of

SETTINGS = (
    {"k": "8"},
    {"m": "1", "k": "32", "keep": KEPT.options[5]},
    {"m": "4", "k": "16", "keep": KEPT.options[60]},
    {"k": "16", "t": "2", "interaction": "dot", "seed": "3", "keep": KEPT.options[30]},
    {"m": "1", "k": "16", "t": "1", "interaction": "cross", "encoder": "gru", "keep": KEPT.options[-1]},
)


def saved(page: Page, folder: Path) -> tuple[Path, list[str]]:
    """The run of the page, downloaded and unpacked, and the words of the command that the page gives with it."""
    page.get_by_text("Save this run").click()
    button = page.get_by_role("button", name="Save run")
    expect(button).to_be_visible(timeout=PATIENCE_MS)
    unpack, command = page.get_by_test_id("stCode").inner_text().strip().splitlines()
    with page.expect_download(timeout=PATIENCE_MS) as download:
        button.click()
    assert unpack == f"unzip {download.value.suggested_filename}"
    archive = folder / download.value.suggested_filename
    download.value.save_as(archive)
    zipfile.ZipFile(archive).extractall(folder)
    return folder / archive.stem, shlex.split(command)


def printed(words: list[str], run: Path, table: Path, *more: str) -> str:
    """What the page's command prints, with the folders of this test in place of the names."""
    program, *arguments = [{run.name: str(run), table.name: str(table)}.get(word, word) for word in words]
    assert program == "sparcode"
    result = CliRunner().invoke(app, [*arguments, *more])
    assert result.exit_code == 0, result.output
    return result.stdout


def figures(record: dict[str, Any]) -> dict[str, str]:
    """Tile -> the text it must have, from what `sparcode evaluate` measured."""
    books = record["perplexity"]
    values = {"recall": record["recall"], "ndcg": record["ndcg"], "size_bytes": record["index_bytes"], "postings": record["postings"]}
    texts = {name: METRICS[name].text(value) for name, value in values.items()}
    return texts | {"codes_in_use": f"{record['codes_in_use']:,}", "perplexity": METRICS["perplexity"].text(sum(books) / len(books))}


@pytest.mark.browser
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: urlencode(settings))
def test_every_figure_is_what_evaluate_prints_for_the_same_run_and_threshold(
    settings: dict[str, str], studio_url: str, browser: Browser, tiny_table: Path, tmp_path: Path
) -> None:
    visit = Visit(browser, f"{studio_url}/explorer?{urlencode(settings)}")
    expect(visit.page.get_by_text("fine-tuned in", exact=False).first).to_be_visible(timeout=PATIENCE_MS)
    run, command = saved(visit.page, tmp_path)
    record = json.loads(printed(command, run, tiny_table, "--json"))
    expected = figures(record)
    assert {name: value_of(visit.page, name).inner_text() for name in expected} == expected
    text = printed(command, run, tiny_table)
    assert f"{expected['postings']} scores, {expected['size_bytes']}" in text
    assert f"Codes: {expected['codes_in_use']} in use" in text
    assert f"perplexity {expected['perplexity']}" in text
    assert f"{record['recall']:.4f}" in text
    assert not visit.problems
