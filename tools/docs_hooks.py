"""Hooks of MkDocs: pages from outside docs/, links between both, and the page of the command line, made from its options."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
SOURCE = "https://github.com/forecaster-rnn/forecaster/blob/main"
# Page of the site -> where its text is in the repository.
OUTSIDE = {
    "index.md": "README.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "SECURITY.md": "SECURITY.md",
    "benchmarks/RESULTS.md": "benchmarks/RESULTS.md",
    "benchmarks/ABLATIONS.md": "benchmarks/ABLATIONS.md",
}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are not in docs/."""
    for page, place in OUTSIDE.items():
        text = (ROOT / place).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_relinked(text, place, page)))
    files.append(File.generated(config, "commands.md", content=commands_page()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let a page of docs/ link to the pages from outside as the site has them."""
    name = page.file.src_uri
    return markdown if name in OUTSIDE else _relinked(markdown, f"docs/{name}", name)


def _relinked(text: str, place: str, page: str) -> str:
    """`text` of the file `place`, with links to files of the repository turned into links of the site, seen from `page`."""
    pages = {path: name for name, path in OUTSIDE.items()}
    text = re.sub(r"<!-- /?[\w ]+ -->\n?", "\n", text)  # marks of scripts
    text = re.sub(r"^(## .*)\n(?=\S)", r"\1\n\n", text, flags=re.MULTILINE)

    def link(found: re.Match[str]) -> str:
        target, anchor = found[1], found[2] or ""
        if re.match(r"[a-z]+:|#", target):
            return found[0]
        path = (Path(place).parent / target).as_posix()
        parts: list[str] = []
        for part in path.split("/"):
            if part == ".." and parts:
                parts.pop()
            elif part not in (".", ".."):
                parts.append(part)
        path = "/".join(parts)
        if path in pages:
            return f"]({_seen_from(page, pages[path])}{anchor})"
        if path.startswith("docs/"):
            return f"]({_seen_from(page, path.removeprefix('docs/'))}{anchor})"
        if not (ROOT / path).exists():
            return found[0]  # a broken link: strict MkDocs fails on it
        return f"]({SOURCE}/{path}{anchor})"

    return re.sub(r"\]\(([^)#\s]+)(#[^)\s]*)?\)", link, text)


def _seen_from(page: str, target: str) -> str:
    return "../" * page.count("/") + target


def commands_page() -> str:
    """Every command with its arguments and options, as `--help` has them."""
    from forecaster.cli import main, model_commands
    from forecaster.cli.typer_adapter import METAVARS
    from forecaster.config import CommonSettings
    from forecaster.config.option import flag, names_in, options

    groups = (("", main.COMMANDS), ("models ", model_commands.COMMANDS))
    lines = [
        "# Command line",
        "",
        "Made from the declarations of the options, as `forecaster COMMAND --help` is. Every option is also a variable"
        " (`FORECASTER_SEASON_LENGTH`) and a key of `forecaster.toml` (`season_length`): see [Configuration](configuration.md).",
    ]
    for prefix, commands in groups:
        for command in commands:
            called = [one.name.upper() if one.required else f"[{one.name.upper()}]" for one in command.arguments]
            usage = " ".join(["forecaster", f"{prefix}{command.name}", *called])
            about = " ".join((command.do.__doc__ or "").split())
            lines += ["", f"## {prefix}{command.name}", "", about, "", "```", usage, "```", ""]
            lines += ["| option | value | what it does |", "|---|---|---|"]
            lines += [f"| `{one.name.upper()}` | | {_cell(one.help)} |" for one in command.arguments]
            for settings in (command.settings, CommonSettings):
                for name, known in options(settings).items():
                    value = METAVARS.get(known.kind, known.kind.upper())
                    if known.choices:
                        value = f"`{'|'.join(names_in(known.choices))}`"
                    default = getattr(settings, name)
                    plain = default in (None, ()) or isinstance(default, bool)
                    shown = "" if plain else f" Default: `{default}`."
                    lines.append(f"| `{flag(name, known)}` | {_cell(value)} | {_cell(known.help + shown)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
