"""Columns of a table by their types: how a query reads each of them as a number or a text. Pure functions."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from tidemill.onboarding.names import quoted
from tidemill.spec import STAMP

__all__ = ["Candidate", "TableColumn", "candidates", "distinct_names", "plain_name"]

_NUMBERS = {"smallint", "integer", "bigint", "real", "double precision", "boolean"}
_TEXTS = {"text", "character varying", "character", "name"}
TIMES = {"date", "timestamp without time zone", "timestamp with time zone"}
_MAX_NAME = 48  # characters of a name in a spec
_RESERVED = {"score", "partition", "observed_at", STAMP}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """A column of the table."""

    name: str
    type: str
    """Postgres's name of the type, without its length; of a domain, the type below it."""
    is_enum: bool = False
    json_keys: tuple[tuple[str, bool], ...] = ()
    """Keys of a JSON object whose values are scalars, each with whether all of them are numbers."""

    @property
    def is_time(self) -> bool:
        """Whether it is a date or a time with a date."""
        return self.type in TIMES

    @property
    def is_id(self) -> bool:
        """Whether its name says that it identifies something."""
        camel = re.search(r"[a-z](Id|ID)$", self.name)
        return bool(camel or re.search(r"(^|[^a-z])(id|uuid|guid|key|index|instant)$", self.name.lower()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A feature that a column could become."""

    name: str
    """Name in the spec."""
    column: str
    """Name of the table's column."""
    expression: str
    """SQL that reads it."""
    is_number: bool


def candidates(columns: Iterable[TableColumn]) -> tuple[list[Candidate], dict[str, str]]:
    """Return what could be a feature, and why each other column cannot; dates and times are neither.

    Examples
    --------
    >>> found, left_out = candidates([TableColumn(name="Unit Price", type="money"), TableColumn(name="area", type="point")])
    >>> found[0].name, found[0].expression, left_out
    ('unit_price', 'CAST("Unit Price" AS numeric)', {'area': 'the type point is neither a number nor a text'})
    """
    found, left_out = [], {}
    for column in columns:
        read = _readings(column)
        for suffix, expression, is_number in read:
            name = f"{column.name} {suffix}".strip()
            found.append(Candidate(name=name, column=column.name, expression=expression, is_number=is_number))
        if not read and not column.is_time:
            left_out[column.name] = f"the type {column.type} is neither a number nor a text"
    names = distinct_names([item.name for item in found])
    return [
        Candidate(name=name, column=item.column, expression=item.expression, is_number=item.is_number)
        for name, item in zip(names, found, strict=True)
    ], left_out


def _readings(column: TableColumn) -> list[tuple[str, str, bool]]:
    """Return suffix, expression and whether it is a number, for each feature that a column could become."""
    name, kind = quoted(column.name), column.type
    if kind in ("json", "jsonb"):
        return [_scalar(name, kind, key, is_number) for key, is_number in column.json_keys]
    if kind.endswith("[]"):
        return [("count", f"cardinality({name})", True)]
    if column.is_enum:
        return [("", f"CAST({name} AS text)", False)]
    by_type = {
        "numeric": ("", name, True),
        "money": ("", f"CAST({name} AS numeric)", True),
        "uuid": ("", f"CAST({name} AS text)", False),
        "inet": ("", f"host({name})", False),
        "interval": ("seconds", f"CAST(EXTRACT(epoch FROM {name}) AS double precision)", True),
        "time without time zone": ("seconds", f"CAST(EXTRACT(epoch FROM {name}) AS double precision)", True),
        "bytea": ("bytes", f"octet_length({name})", True),
        "citext": ("", f"CAST({name} AS text)", False),
        **{text: ("", name, False) for text in _TEXTS},
        **{number: ("", name, True) for number in _NUMBERS},
    }
    return [by_type[kind]] if kind in by_type else []


def _scalar(name: str, kind: str, key: str, is_number: bool) -> tuple[str, str, bool]:
    source = name if kind == "jsonb" else f"CAST({name} AS jsonb)"
    literal = "'" + key.replace("'", "''") + "'"
    if not is_number:
        return key, f"{source} ->> {literal}", False
    number = f"CAST({source} ->> {literal} AS double precision)"
    return key, f"CASE WHEN jsonb_typeof({source} -> {literal}) = 'number' THEN {number} END", True


def plain_name(text: str) -> str:
    """Return a name that a spec takes.

    Examples
    --------
    >>> plain_name("Returned?"), plain_name("2nd Größe"), plain_name("orderID")
    ('returned', 'c_2nd_grosse', 'order_id')
    """
    snake = re.sub(r"([a-z])([A-Z])", r"\1_\2", text).casefold()
    snake = "".join(sign for sign in unicodedata.normalize("NFKD", snake) if not unicodedata.combining(sign))
    plain = re.sub(r"[^a-z0-9]+", "_", snake).strip("_")
    if not plain or not plain[0].isalpha():
        plain = f"c_{plain}".rstrip("_")
    return plain[:_MAX_NAME].rstrip("_")


def distinct_names(texts: list[str], taken: Iterable[str] = ()) -> list[str]:
    """Return a distinct plain name for each text; a name that is taken gets a number."""
    used, names = {*_RESERVED, *taken}, []
    for text in texts:
        name, number = plain_name(text), 2
        while name in used or name.endswith("observed_at"):
            ending = f"_{number}"
            name = plain_name(text)[: _MAX_NAME - len(ending) - 12].replace("observed_at", "seen_at") + ending
            number += 1
        used.add(name)
        names.append(name)
    return names
