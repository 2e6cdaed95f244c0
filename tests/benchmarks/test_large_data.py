from __future__ import annotations

import pytest

from benchmarks import large_data
from sparcode.data.loading import load


@pytest.mark.parametrize(("as_numbers", "has_times"), large_data.CASES.values(), ids=large_data.CASES)
def test_the_generated_folder_has_the_rows_asked_for(tmp_path, monkeypatch, as_numbers, has_times):
    monkeypatch.setattr(large_data, "FILE_ROWS", 700)
    folder = tmp_path / "visits"
    n_bytes = large_data.generate(folder, 2000, as_numbers, has_times)
    files = list(folder.iterdir())
    assert len(files) == 3
    assert n_bytes == sum(file.stat().st_size for file in files)
    data = load(folder)
    assert data.n_interactions + data.dropped["repeated (user, item) pairs"] == 2000
    assert (data.has_time, data.n_users) == (has_times, 50)
    assert data.user_ids[0].startswith("user" if not as_numbers else "0")
