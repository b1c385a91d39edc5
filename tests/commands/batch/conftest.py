"""A folder with a stored model and its data, for batches to run in."""

from __future__ import annotations

import pytest

from tests.support.stored_models import stored, write_csv


@pytest.fixture
def shop(tmp_path):
    stored(tmp_path / "models")
    write_csv(tmp_path / "data.csv", 100)
    return tmp_path
