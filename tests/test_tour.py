"""`docs/tour.md` shows every page of the studio, by pictures that a script takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.page_pictures import MOST_BYTES
from scripts.tour_pictures import SCREENS

ROOT = Path(__file__).resolve().parents[1]
TOUR = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
PICTURES = ROOT / "docs" / "screenshots"


def test_every_page_has_a_section() -> None:
    titles = re.findall(r'PageRow\("\w+\.py", "([^"]+)"', (ROOT / "app" / "main.py").read_text(encoding="utf-8"))
    assert len(titles) > 5
    assert sorted(titles) == sorted(re.findall(r"^### (.+)$", TOUR, re.MULTILINE))


def test_the_pictures_are_those_of_the_script() -> None:
    shown = re.findall(r"\]\(screenshots/tour-(\w+)\.png\)", TOUR)
    assert sorted(shown) == sorted(screen.name for screen in SCREENS)
    assert {file.name for file in PICTURES.iterdir()} == {f"tour-{name}.png" for name in shown}


@pytest.mark.parametrize("name", sorted(file.name for file in PICTURES.glob("tour-*.png")))
def test_a_picture_is_light(name: str) -> None:
    assert 5_000 < (PICTURES / name).stat().st_size <= MOST_BYTES
