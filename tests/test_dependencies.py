"""What the package imports is what it says that it needs."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from forecaster.config.resolve import parse_toml

ROOT = Path(__file__).parent.parent


def declared():
    """Distributions that the package or one of its extras (but for the developers') asks for."""
    project = parse_toml(ROOT / "pyproject.toml", "pyproject.toml")["project"]
    extras = {name: needs for name, needs in project["optional-dependencies"].items() if name != "dev"}
    return {
        plain(re.match(r"[\w.-]+", one)[0]) for needs in (project["dependencies"], *extras.values()) for one in needs
    }


def plain(name):
    """A distribution's name as an index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported():
    """Top-level modules by the first file that imports them, wherever in it."""
    found = {}
    for path in sorted((ROOT / "forecaster").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            else:
                continue
            for name in names:
                found.setdefault(name.split(".")[0], path.relative_to(ROOT).as_posix())
    return found


@pytest.mark.slow
def test_every_library_that_is_imported_is_declared():
    known, needed = packages_distributions(), declared()
    missing = {
        name: path
        for name, path in imported().items()
        if name not in {"forecaster", *sys.stdlib_module_names}
        and not needed & {plain(one) for one in known.get(name, [name])}  # an extra may not be installed
    }
    assert missing == {}
