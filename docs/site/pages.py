"""Collect the pages of the documentation site: ``python docs/site/pages.py FOLDER``.

The pages of ``docs`` are taken as they are, the README is the home page, and the reference pages are generated from the code.
Links between pages stay; a link to any other file of the repository becomes its path, since the site does not contain it.
Each version is built beside the earlier ones, and the site's start leads to the newest.
"""

import json
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import reference
from packaging.version import Version

from tidemill import __version__

PROJECT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("zensical.toml")
ROOT_PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
START = '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={0}/"><a href="{0}/">Tidemill {0}</a>'
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")


def main(target: Path) -> None:
    """Write everything that the site generator reads below ``target``; versions that were built stay."""
    docs = target / "docs"
    shutil.rmtree(docs, ignore_errors=True)
    for name, text in {**written(), **reference.pages()}.items():
        path = docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    shutil.copytree(PROJECT / "docs" / "images", docs / "images")
    shutil.copy(PROJECT / "docs" / "spec.schema.json", docs)
    shutil.copy(CONFIG.with_name("site.css"), docs)
    (docs / "llms.txt").write_text(overview_for_machines(docs), encoding="utf-8")
    config = CONFIG.read_text(encoding="utf-8").replace('site_dir = "site"', f'site_dir = "site/{__version__}"')
    (target / CONFIG.name).write_text(config, encoding="utf-8")
    _write_versions(target / "site")


def _write_versions(site: Path) -> None:
    site.mkdir(exist_ok=True)
    built = {path.name for path in site.iterdir() if path.is_dir()} | {__version__}
    newest, *others = sorted(built, key=Version, reverse=True)
    versions = [
        {"version": newest, "title": newest, "aliases": ["latest"]},
        *({"version": name, "title": name, "aliases": []} for name in others),
    ]
    (site / "versions.json").write_text(json.dumps(versions), encoding="utf-8")
    (site / "index.html").write_text(START.format(newest), encoding="utf-8")


def written() -> dict[str, str]:
    """Return the pages that people write, by their path on the site, with links that hold there."""
    sources = {PROJECT / name: page for name, page in ROOT_PAGES.items()}
    docs = PROJECT / "docs"
    sources |= {path: path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    beside = [*(docs / "images").iterdir(), docs / "spec.schema.json"]
    goals = sources | {path: path.relative_to(docs).as_posix() for path in beside} | {docs / "adr": "adr/index.md"}
    pages = {page: _relinked(source, page, goals) for source, page in sources.items()}
    return pages | {"adr/index.md": _decisions(pages)}


def _relinked(source: Path, page: str, goals: dict[Path, str]) -> str:
    def link(found: re.Match[str]) -> str:
        image, label, path, anchor = found[1], found[2], found[3], found[4] or ""
        if not path or "://" in path or path.startswith("mailto:"):
            return found[0]
        goal = (source.parent / path).resolve()
        if goal in goals:
            return f"{image}[{label}]({'../' * page.count('/')}{goals[goal]}{anchor})"
        name = goal.relative_to(PROJECT).as_posix()
        return f"`{name}`" if name.endswith(label.strip("`")) else f"{label} (`{name}`)"

    return LINK.sub(link, source.read_text(encoding="utf-8"))


def _decisions(pages: dict[str, str]) -> str:
    titles = {
        page: text.partition("\n")[0].removeprefix("# ") for page, text in pages.items() if page.startswith("adr/")
    }
    lines = [f"- [{title}]({page.removeprefix('adr/')})" for page, title in sorted(titles.items())]
    return (
        "# Decisions\n\nEach decision that shapes Tidemill, with its reasons and consequences.\n\n"
        + "\n".join(lines)
        + "\n"
    )


def named_in_navigation(entries: list[Any]) -> Iterator[tuple[str, str]]:
    """Yield title and path of every page of the navigation."""
    for entry in entries:
        for title, below in entry.items():
            yield from [(title, below)] if isinstance(below, str) else named_in_navigation(below)


def overview_for_machines(docs: Path) -> str:
    """Return the text of ``llms.txt``: one line for each page of the navigation."""
    project = tomllib.loads(CONFIG.read_text(encoding="utf-8"))["project"]
    lines = [
        f"- [{title}]({path}): {_first_sentence(docs / path)}" for title, path in named_in_navigation(project["nav"])
    ]
    return f"# {project['site_name']}\n\n> {project['site_description']}\n\n" + "\n".join(lines) + "\n"


def _first_sentence(page: Path) -> str:
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    paragraphs = [
        part for part in prose.split("\n\n") if part.strip() and not part.lstrip().startswith(tuple("#|!>-<["))
    ]
    text = LINK.sub(r"\2", " ".join(paragraphs[0].split())) if paragraphs else ""
    return re.split(r"(?<=[.:?])\s", text, maxsplit=1)[0]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
