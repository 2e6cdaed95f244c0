from __future__ import annotations

import pandas as pd

from app.components.column_tips import column_tips
from sparcode.glossary import about


def test_known_columns_are_explained_and_others_left() -> None:
    table = pd.DataFrame({"Recall@50": [0.5], "timed": ["alone"], "median (ms)": [0.1]}, index=pd.Index([0], name="codeword"))
    tips = {name: config["help"] for name, config in column_tips(table).items()}
    assert tips == {"Recall@50": about("recall"), "median (ms)": about("p50_ms"), "codeword": about("codeword")}


def test_a_table_of_other_things_has_no_tips() -> None:
    assert column_tips(pd.DataFrame({0: [1], "timed": [2]})) == {}
