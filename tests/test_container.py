"""The recipe of the image for hosts that only forecast."""

from __future__ import annotations

import re
from pathlib import Path

from forecaster.errors import LIGHT_DISTRIBUTION

ROOT = Path(__file__).parent.parent


def test_the_image_installs_the_distribution_that_only_predicts():
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    (installed,) = re.findall(r"pip install .*?(\S+)$", text, re.MULTILINE)
    assert installed == f"dist/{LIGHT_DISTRIBUTION.replace('-', '_')}-*.whl"


def test_everything_that_the_image_copies_is_in_the_repository():
    copied = re.findall(
        r"^COPY (?!--from)(.*) \S+$", (ROOT / "Containerfile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert copied and all((ROOT / name).exists() for line in copied for name in line.split())


def test_the_image_runs_as_nobody_in_particular():
    assert re.search(r"^USER (?!0)\d+:\d+$", (ROOT / "Containerfile").read_text(encoding="utf-8"), re.MULTILINE)
