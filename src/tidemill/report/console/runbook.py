"""The runbook's text, section by section, to show it beside the alert that it is about."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

__all__ = ["Block", "instructions"]

_SECTION = re.compile(r"^## (?P<family>\w+)\n(?P<text>(?:(?!## ).*\n?)*)", re.MULTILINE)
_LINK = re.compile(r"\[([^]]+)\]\([^)]*\)")
_ITEM = re.compile(r"\d+\. ")


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, or a numbered list."""

    numbered: bool
    lines: tuple[str, ...]
    """One of a paragraph, or each item of a list; code is between backticks."""


@cache
def instructions() -> Mapping[str, tuple[Block, ...]]:
    """Return the blocks of each rule family's section."""
    shipped = Path(str(files("tidemill"))) / "runbook.md"
    path = shipped if shipped.is_file() else Path(__file__).parents[4] / "docs" / "runbook.md"
    text = _LINK.sub(r"\1", path.read_text(encoding="utf-8"))
    return {found["family"]: tuple(_blocks(found["text"])) for found in _SECTION.finditer(text)}


def _blocks(text: str) -> Iterator[Block]:
    for block in filter(None, (part.strip() for part in text.split("\n\n"))):
        numbered = _ITEM.match(block) is not None
        items = re.split(r"\n(?=\d+\. )", block) if numbered else [block]
        yield Block(numbered, tuple(" ".join(_ITEM.sub("", item, count=1).split()) for item in items))
