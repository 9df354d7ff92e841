"""The pages of the site that are made of the code, and what is checked of all pages.

A hook of MkDocs (`mkdocs.yml`): commands get pages of their `--help`, the public names of geochg
those of their docstrings, and the files of the repository that readers look for, such as the
README, are pages too. What it finds missing is a warning, which fails a strict build.
"""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import geochg
from geochg_cli.group import geochg as command_group

ROOT = Path(__file__).resolve().parent.parent
CARD = "geochg/models/builtin"
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "examples/README.md": "examples.md",
    f"{CARD}/README.md": "builtin/card.md",
    **{
        path.relative_to(ROOT).as_posix(): f"builtin/pictures/{path.name}"
        for path in sorted((ROOT / CARD / "pictures").glob("*.jpg"))
    },
}
"""Files of the repository that are part of the site, and where they lie in it."""

MODULES = ("geochg.errors", "geochg.events", "geochg.records", "geochg.models.base")
"""Modules that users of the library and writers of models read, beside the public names."""

GUIDES = (
    ("Home", "index.md"),
    ("Using it", "using.md"),
    ("Many pairs", "batch.md"),
    ("Reports", "report.md"),
    ("Scenes", "scenes.md"),
    ("Series", "series.md"),
    ("Learning from a review", "learning.md"),
    ("Accuracy", "accuracy.md"),
    ("A layer against an image", "check.md"),
    ("Models", "models.md"),
    ("Scoring a model", "evaluate.md"),
    ("Fine-tuning", "training.md"),
    ("From a review to a model", "from_clicks.md"),
    ("Data sets", "datasets.md"),
    ("QGIS", "qgis.md"),
    ("Assistants", "mcp.md"),
    ("The worker", "worker.md"),
    ("The built-in model", "builtin/card.md"),
    ("Speed and memory", "speed.md"),
    ("Examples", "examples.md"),
    ("Glossary", "glossary.md"),
)
DEVELOPING = (
    ("Contributing", "contributing.md"),
    ("How do I add ...", "how_to_add.md"),
    ("How the code is laid out", "design.md"),
    ("Releasing", "releasing.md"),
    ("Security", "security.md"),
    ("Changes", "changelog.md"),
)

POLICY = "default-src 'self' file: data: blob: 'unsafe-inline'"
"""What a browser may load for a page: nothing of another host."""

_HELP_WIDTH = 100
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_ELSEWHERE = re.compile(r"(?:[a-z]+:)?//", re.IGNORECASE)
_LOADED_BY_STYLE = re.compile(r"(?:url\(|@import)\s*['\"]?\s*(?:https?:)?//", re.IGNORECASE)
_log = logging.getLogger("mkdocs.geochg")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lays out the navigation."""
    config.nav = [
        *({title: page} for title, page in GUIDES),
        {"Commands": [{title: page} for title, page, _ in commands()]},
        {"Python": ["api/index.md", *({name: f"api/{name}.md"} for name in documented())]},
        {"Developing": [{title: page} for title, page in DEVELOPING]},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that do not lie in docs/."""
    for path, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / path)))
    for title, page, text in commands():
        files.append(File.generated(config, page, content=_command_page(title, text)))
    files.append(File.generated(config, "api/index.md", content=_api_index()))
    for name, path in documented().items():
        content = f"::: {path}\n{_options_table() if name == 'AnalyzeOptions' else ''}"
        files.append(File.generated(config, f"api/{name}.md", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads links between files of the repository to their pages."""
    sources = {page: path for path, page in OUTSIDE.items()}
    source = sources.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    pages = {f"docs/{file.src_uri}": file.src_uri for file in files} | OUTSIDE
    return with_links_to_pages(markdown, source, page.file.src_uri, pages)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Has browsers refuse whatever lies on another host."""
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    return output.replace("<head>", f"<head>{policy}", 1)


def on_post_build(config: MkDocsConfig) -> None:
    """Looks through the finished site."""
    for fault in faults(Path(config.site_dir)):
        _log.warning(fault)


def commands() -> list[tuple[str, str, str]]:
    """What is typed, page and help of each command, groups before what is in them."""
    found = list(_commands(command_group, click.Context(command_group, info_name="geochg")))
    return [(typed, f"commands/{typed.replace(' ', '-')}.md", text) for typed, text in found]


def documented() -> dict[str, str]:
    """The pages of the Python reference: public names and modules, with their full names."""
    public = {name: f"geochg.{name}" for name in sorted(geochg.__all__, key=str.lower)}
    names = {name: path for name, path in public.items() if path not in MODULES}
    return names | {module: module for module in MODULES}


def with_links_to_pages(markdown: str, source: str, page: str, pages: dict[str, str]) -> str:
    """A text whose relative links lead to pages; those to files that are none become plain text.

    Args:
        markdown: The text.
        source: Its file, from the root of the repository.
        page: Where it lies in the site.
        pages: Place in the site of each file of the repository that is part of it.
    """

    def led(match: re.Match[str]) -> str:
        mark, text, link = match.groups()
        target, hash_sign, anchor = link.partition("#")
        if not target or _ELSEWHERE.match(link) or link.startswith("mailto:"):
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if path in pages:
            place = posixpath.relpath(pages[path], posixpath.dirname(page) or ".")
            return f"{mark}[{text}]({place}{hash_sign}{anchor})"
        if not (ROOT / path).exists():
            return match[0]
        return text

    return _LINK.sub(led, markdown)


def faults(site: Path) -> Iterator[str]:
    """What is wrong with a finished site: a page that is missing, or that loads from elsewhere."""
    for typed, page, _ in commands():
        if f"Usage: {typed}" not in _html(site, page):
            yield f"the command {typed!r} has no page"
    for name, path in documented().items():
        if f'id="{path}"' not in _html(site, f"api/{name}.md"):
            yield f"{path} has no page"
    for path in sorted(site.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        for address in loaded_from_elsewhere(text):
            yield f"{path.relative_to(site)} loads {address}"
    for path in sorted(site.rglob("*.css")):
        if _LOADED_BY_STYLE.search(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(site)} loads from another host"


def loaded_from_elsewhere(html: str) -> list[str]:
    """Addresses on other hosts that a page loads; links to be followed load nothing."""
    parser = _Loads()
    parser.feed(html)
    return parser.found


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        names = () if tag == "a" else ("src", "srcset", "data", "poster", "href")
        if tag == "link" and given.get("rel") in ("canonical", "next", "prev", "alternate"):
            names = ()
        self.found += [
            value for name in names if (value := given.get(name)) and _ELSEWHERE.match(value)
        ]


def _commands(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    context.terminal_width = _HELP_WIDTH
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is None:
                raise RuntimeError(f"{context.command_path} lists {name}, which is no command")
            yield from _commands(inner, click.Context(inner, parent=context, info_name=name))


def _command_page(typed: str, text: str) -> str:
    return f"# {typed}\n\n```text\n{text}\n```\n"


def _options_table() -> str:
    """The options of a run, each with what its field says of itself."""
    rows = "".join(
        f"| `{spec.name}` | {spec.type} | {spec.facts.usual or f'`{spec.default!r}`'} "
        f"| {spec.facts.help.replace('|', '&#124;')} |\n"
        for spec in geochg.AnalyzeOptions.specs()
    )
    return f"\n| Option | Type | Default | Meaning |\n|---|---|---|---|\n{rows}"


def _api_index() -> str:
    names = documented()
    rows = "".join(f"- [`{path}`]({name}.md)\n" for name, path in names.items())
    return (
        "# Python\n\n`import geochg` gives the public names, and loads nothing heavy. The modules "
        f"behind them are for those who write models or listen to runs.\n\n{rows}"
    )


def _html(site: Path, page: str) -> str:
    path = site / page.replace(".md", ".html")
    return path.read_text(encoding="utf-8") if path.is_file() else ""
