"""The word list of docs/style.md: no tracked text uses what its right column refuses, names of tests included."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs" / "style.md"
READ = (".py", ".md", ".html", ".sql", ".yaml", ".toml", ".sh")
HISTORY = ("CHANGELOG.md", "sql/migrations/")  # what was released or applied stays as it was


def word_list() -> dict[str, str]:
    """Return what to write, by the expression that is refused."""
    table = PAGE.read_text(encoding="utf-8").partition("### Word list")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| `(.+)` \|$", table, re.MULTILINE)
    return {refused.replace(r"\|", "|"): instead for instead, refused in rows}


@cache
def texts() -> dict[str, str]:
    """Return the tracked texts by path, underscores as spaces: names are sentences, too."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True)
    paths = [
        PROJECT / name for name in listed.stdout.split("\0") if name.endswith(READ) and not name.startswith(HISTORY)
    ]
    return {
        path.relative_to(PROJECT).as_posix(): path.read_text(encoding="utf-8").replace("_", " ")
        for path in paths
        if path.is_file() and path != PAGE
    }


def test_the_page_has_a_word_list() -> None:
    assert len(word_list()) >= 10


@pytest.mark.parametrize("refused", word_list())
def test_no_text_uses_a_refused_expression(refused: str) -> None:
    expression = re.compile(refused, re.IGNORECASE)
    found = [
        f"{name}:{number}: {line.strip()[:90]}"
        for name, text in texts().items()
        if expression.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if expression.search(line)
    ]
    assert found == [], f"write: {word_list()[refused]}"
