"""A release's model card, as the console shows it."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from tidemill.report.console.links import trail_of
from tidemill.report.html import Answer, Link, page

__all__ = ["release_card_page"]

_TAGS = {"#": "h2", "##": "h2", "###": "h3", "-": "ul"}
_ESCAPED = re.compile(r"\\(.)")
_CELL_END = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class _Block:
    """Adjacent lines of a card that belong together."""

    tag: str
    """``h2``, ``h3``, ``ul``, ``table``, ``dl`` for a table without a head, ``pre`` or ``p``."""
    rows: tuple[tuple[str, ...], ...]
    """Cells of each line; one, except in a table."""
    caption: str
    """The heading above it."""


def release_card_page(model: str, release_id: int, card: str) -> str:
    """Return the page with a release's model card.

    Parameters
    ----------
    card : str
        Markdown of :func:`tidemill.report.card.model_card`.
    """
    above, own = trail_of(model, up="../../../")
    return page(
        "release_card.html",
        kind="Model card",
        model=model,
        partition="",
        trail=(above, own, Link(f"release {release_id}", "../"), Link("card")),
        answer=Answer(
            question="What is this model for?", answer=f"The model card of release {release_id}.", tone="none"
        ),
        blocks=list(_blocks(card)),
    )


def _blocks(card: str) -> Iterator[_Block]:
    caption = ""
    for tag, lines in groupby(card.splitlines(), _tag):
        rows = tuple(_cells(tag, line) for line in lines if not line.startswith("|--"))
        if tag.startswith("h"):
            caption = rows[-1][0]
        if tag == "table" and not any(map(any, rows[:1])):
            tag, rows = "dl", rows[1:]
        if tag:
            yield _Block(tag, rows, caption)


def _tag(line: str) -> str:
    if not line.strip():
        return ""
    if line.startswith("    "):
        return "pre"
    return "table" if line.startswith("|") else _TAGS.get(line.partition(" ")[0], "p")


def _cells(tag: str, line: str) -> tuple[str, ...]:
    """Return a line's texts without the marks and escapes of Markdown."""
    if tag == "pre":
        return (line[4:],)
    if tag == "table":
        return tuple(_plain(cell) for cell in _CELL_END.split(line)[1:-1])
    return (_plain(line.partition(" ")[2] if tag in _TAGS.values() else line),)


def _plain(text: str) -> str:
    return html.unescape(_ESCAPED.sub(r"\1", text.strip()))
