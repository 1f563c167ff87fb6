"""The ledger's SQL: one named statement per block of ``sql/queries/*.sql``, run by its name.

A block opens with ``-- name: …`` and a comment; the statement follows, with ``%(parameter)s`` for its values. SQL whose
tables differ per run or model is composed where it is used, because it cannot be a fixed statement.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from tidemill.warehouse.connections import Cursor

__all__ = ["execute", "sql_folder", "statements"]

_BLOCK = re.compile(r"^-- name: (?P<name>\w+)\n(?:-- .*\n)+(?P<statement>(?:(?!-- name:).*\n)+)", re.MULTILINE)


def sql_folder(name: Literal["migrations", "queries"]) -> Path:
    """Return a folder of the ledger's SQL: in the installed package, or in the checkout."""
    shipped = Path(str(files("tidemill"))) / name
    return shipped if shipped.is_dir() else Path(__file__).parents[3] / "sql" / name


@cache
def statements() -> Mapping[str, str]:
    """Return every statement by its name.

    Raises
    ------
    ValueError
        If two statements have one name, or a block has no comment or no statement.
    """
    found: dict[str, str] = {}
    for path in sorted(sql_folder("queries").glob("*.sql")):
        text = path.read_text(encoding="utf-8")
        blocks = {block["name"]: block["statement"].strip().rstrip(";") for block in _BLOCK.finditer(text)}
        if len(blocks) != text.count("-- name:") or blocks.keys() & found.keys():
            raise ValueError(f"{path.name}: each block needs a name of its own, a comment and a statement.")
        found |= blocks
    return found


def execute(cursor: Cursor, name: str, /, **values: Any) -> None:
    """Run a statement by its name; the cursor then has its rows."""
    cursor.execute(statements()[name], values)
