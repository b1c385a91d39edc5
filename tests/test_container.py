"""The recipe of the image for hosts that only forecast."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def installed(text: str) -> set[str]:
    """The packages of the first `pip install` of a list."""
    (line, *_) = (line for line in text.splitlines() if "pip install" in line and "numpy" in line)
    return set(re.sub(r'"[^"]*"|\\|--\S+', "", line.split("install", 1)[1]).split())


def test_the_image_has_the_packages_of_a_host_that_only_predicts():
    guide = (ROOT / "docs" / "predict-only.md").read_text(encoding="utf-8")
    assert installed((ROOT / "Containerfile").read_text(encoding="utf-8")) == installed(guide)


def test_everything_that_the_image_copies_is_in_the_repository():
    copied = re.findall(
        r"^COPY (?!--from)(.*) \S+$", (ROOT / "Containerfile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert copied and all((ROOT / name).exists() for line in copied for name in line.split())


def test_the_image_runs_as_nobody_in_particular():
    assert re.search(r"^USER (?!0)\d+:\d+$", (ROOT / "Containerfile").read_text(encoding="utf-8"), re.MULTILINE)
