from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from app.components import bundle

CALLS = """async text => {
    const { shown } = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
    const [node, log] = [document.createElement("div"), []];
    const give = what => shown(node, () => ({ leave: () => log.push("left") }), () => log.push(what));
    const rest = () => new Promise(resolve => setTimeout(resolve, 300));
    const end = give("newer");
    give("overtaken")();
    await rest();
    end();
    const again = give("brought back");
    end();
    await rest();
    again();
    again();
    await rest();
    return log;
}"""


@pytest.mark.browser
def test_calls_that_were_overtaken_show_and_end_nothing(browser: Browser) -> None:
    page = browser.new_page()
    text = Path(bundle.__file__).with_name("page.js").read_text(encoding="utf-8")
    assert page.evaluate(CALLS, text) == ["newer", "brought back", "left"]
