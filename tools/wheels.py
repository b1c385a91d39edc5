"""Build the wheels of both distributions, by `python tools/wheels.py [FOLDER]`.

`forecaster-rnn` is the tree as it is. `forecaster-rnn-predict` is the same package with the name, the requirements and the
extras of `[tool.forecaster-wheels]` in pyproject.toml: it forecasts, and does not train.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
CONTENT = ("forecaster", "README.md", "LICENSE")  # what a wheel is built from, beside pyproject.toml


def light_project(text: str) -> str:
    """pyproject.toml of the distribution that only forecasts, made from that of the whole."""
    content: dict[str, Any] = tomllib.loads(text)
    light, project = content["tool"]["forecaster-wheels"], content["project"]
    extras = {name: project["optional-dependencies"][name] for name in light["extras"]}
    text = _replaced(text, r'^name = "[^"]*"$', f"name = {json.dumps(light['name'])}")
    text = _replaced(text, r'^description = "[^"]*"$', f"description = {json.dumps(light['description'])}")
    text = _replaced(text, r"^dependencies = \[.*?^\]$", f"dependencies = {_listed(light['dependencies'])}")
    table = "\n".join(f"{name} = {_listed(needs)}" for name, needs in extras.items())
    return _replaced(
        text, r"^\[project\.optional-dependencies\]\n.*?(?=^\[)", f"[project.optional-dependencies]\n{table}\n\n"
    )


def _listed(items: list[str]) -> str:
    return f"[{', '.join(json.dumps(item) for item in items)}]"


def _replaced(text: str, pattern: str, new: str) -> str:
    found, count = re.subn(pattern, lambda _: new, text, count=1, flags=re.MULTILINE | re.DOTALL)
    if not count:
        raise SystemExit(f"pyproject.toml: nothing matches {pattern}")
    return found


def build(project: str, folder: Path) -> None:
    """Build the wheel of a copy of the tree with `project` as its pyproject.toml."""
    with tempfile.TemporaryDirectory() as place:
        for name in CONTENT:
            target = Path(place, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
            elif (ROOT / name).exists():
                shutil.copy(ROOT / name, target)
        Path(place, "pyproject.toml").write_text(project, encoding="utf-8")
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), place]
        subprocess.run(command, check=True)


def main() -> None:
    """Build both wheels into the folder that is given, else into dist/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "dist")
    folder = parser.parse_args().folder.resolve()
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for project in (text, light_project(text)):
        build(project, folder)
    print(*sorted(path.name for path in folder.glob("*.whl")), sep="\n")


if __name__ == "__main__":
    main()
