"""RESULTS.md and ABLATIONS.md: each benchmark rewrites its own section only."""

from __future__ import annotations

import re
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
ABLATIONS = Path(__file__).with_name("ABLATIONS.md")


def write_section(name: str, text: str, page: Path = RESULTS) -> None:
    """Replace the section `name` of a page, or add it at the end."""
    block = f"<!-- {name} -->\n## {name[0].upper()}{name[1:]}\n\n{text}\n<!-- /{name} -->"
    old = page.read_text(encoding="utf-8") if page.exists() else "# Results\n"
    pattern = re.compile(rf"<!-- {name} -->.*?<!-- /{name} -->", re.DOTALL)
    new = pattern.sub(lambda _: block, old) if pattern.search(old) else f"{old.rstrip()}\n\n{block}\n"
    page.write_text(new, encoding="utf-8")
