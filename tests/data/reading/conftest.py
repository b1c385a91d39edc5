"""Small CSV files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes text or bytes into a file of the working directory and gives its name."""
    monkeypatch.chdir(tmp_path)

    def write_file(content: str | bytes, name: str = "x.csv") -> str:
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    return write_file
