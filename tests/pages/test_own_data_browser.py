"""Data of one's own, from the upload to every page, and again after a restart of the server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.studio_in_browser import running_studio
from tests.pages.browser_pages import PATIENCE_MS, Visit, at_rest, value_of

N_USERS, N_ITEMS = 90, 60
FIGURES = ("recall", "ndcg", "size_bytes", "postings", "codes_in_use", "perplexity")


@pytest.fixture(scope="module")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table in the columns of MovieLens 100K: tab-separated user, item, rating and time; each user likes items of one of three kinds."""
    draw = np.random.default_rng(7)
    lines = ["user_id\titem_id\trating\ttimestamp"]
    for user in range(N_USERS):
        liked = draw.permutation(np.flatnonzero(np.arange(N_ITEMS) % 3 == user % 3))[:12]
        for at, item in enumerate(liked.tolist()):
            lines.append(f"{user + 1}\t{item + 1}\t{draw.integers(3, 6)}\t{880_000_000 + 1000 * user + at}")
    path = tmp_path_factory.mktemp("own") / "u.data.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def explored_run(page: Page) -> dict[str, str]:
    """Figures of the Index Explorer on the kept run, once they are all there."""
    expect(page.get_by_text("kept on", exact=False).first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".sparcode-chart[data-drawn]")).to_have_count(9, timeout=PATIENCE_MS)
    at_rest(page)
    return {name: value_of(page, name).inner_text() for name in FIGURES}


@pytest.mark.browser
def test_an_upload_is_trained_explored_compared_and_opened_again_by_its_link_after_a_restart(
    tiny_environment: dict[str, str], browser: Browser, ratings: Path, tmp_path: Path
) -> None:
    environment = tiny_environment | {"SPARCODE_RUNS": str(tmp_path / "runs")}
    with running_studio(environment, module="tests.tiny_studio") as address:
        visit = Visit(browser, f"{address}/train?k=8&t_data=upload&t_epochs=3&t_joint=2&t_two_tower=false")
        page = visit.page
        page.locator("input[type=file]").set_input_files(ratings)
        expect(page.get_by_text(f"{N_USERS} users, {N_ITEMS} items", exact=False).first).to_be_visible(timeout=PATIENCE_MS)
        page.get_by_role("button", name="Start training").click()
        expect(page.get_by_text("Run 1 is finished")).to_be_visible(timeout=PATIENCE_MS)
        name = page.get_by_role("textbox", name="Name of the run")
        name.fill("my-ratings")
        name.press("Enter")
        at_rest(page)
        expect(page.get_by_role("button", name="Explore this run")).to_be_disabled()
        page.get_by_text("Let everybody who uses this studio have it").click()
        page.get_by_role("button", name="Explore this run").click()

        expect(page.get_by_role("heading", name="Index Explorer")).to_be_visible(timeout=PATIENCE_MS)
        before = explored_run(page)
        assert float(before["recall"]) > 0.1
        link = page.url.replace(address, "")
        assert "data=run.my-ratings" in link

        page.get_by_role("link", name="Compare", exact=True).click()
        page.get_by_role("button", name="Measure on this machine").click(timeout=PATIENCE_MS)
        expect(page.get_by_role("button", name="Measure again")).to_be_visible(timeout=PATIENCE_MS)
        expect(page.get_by_role("combobox", name="Data or run")).to_have_value("Run: my-ratings")
        page.get_by_role("link", name="Scale").click()
        expect(page.get_by_role("button", name="Measure up to 100,000 items here")).to_be_enabled(timeout=PATIENCE_MS)
        page.get_by_role("link", name="Overview").click()
        expect(page.get_by_test_id("stMetricValue").get_by_text(f"{N_USERS * 12:,}")).to_be_visible(timeout=PATIENCE_MS)
        assert not visit.problems

    with running_studio(environment, module="tests.tiny_studio") as address:
        again = Visit(browser, f"{address}{link}")
        assert explored_run(again.page) == before
        assert not again.problems
