from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.components.bundle import script, style

APP = Path(__file__).resolve().parents[3] / "app"
MODULES = sorted(file for file in APP.rglob("*.js") if "export default" in file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_component_is_one_text_with_every_name_declared_once(module: Path) -> None:
    text = script(str(module.with_suffix(".py")))
    assert module.with_suffix(".py").exists()
    assert not re.search(r"^import ", text, re.MULTILINE)
    assert re.findall(r"^export \w+", text, re.MULTILINE) == ["export default"]
    declared = re.findall(r"^(?:export default )?(?:const|let|function|class) (\w+)", text, re.MULTILINE)
    assert len(declared) == len(set(declared))


def test_imports_come_first_and_once(tmp_path: Path) -> None:
    (tmp_path / "base.js").write_text("export const base = 1;\n")
    (tmp_path / "more.js").write_text('import { base } from "./base.js";\nexport const more = base;\n')
    (tmp_path / "part.js").write_text(
        'import { base } from "./base.js";\nimport { more } from "./more.js";\nexport default () => base + more;\n'
    )
    lines = [line for line in script(str(tmp_path / "part.py")).splitlines() if line]
    assert lines == ["const base = 1;", "const more = base;", "export default () => base + more;"]


def test_a_style_sheet_is_read_as_it_is() -> None:
    assert style(str(APP / "components" / "figure_tiles.py")) == (APP / "components" / "figure_tiles.css").read_text(encoding="utf-8")
