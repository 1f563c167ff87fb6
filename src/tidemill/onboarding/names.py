"""A table's name as a person writes it."""

import re
from dataclasses import dataclass

from tidemill.errors import SettingsError

__all__ = ["TableName", "quoted"]

_PART = r'(?:"((?:[^"]|"")+)"|([^".]+))'
_NAME = re.compile(rf"{_PART}\.{_PART}")
MAX_BYTES = 63  # Postgres cuts longer names silently
_OWN = ("tidemill", "predictions", "information_schema")


def quoted(name: str) -> str:
    """Return an identifier for SQL, in quotes only where it needs them.

    Examples
    --------
    >>> quoted("order_id"), quoted("Order ID"), quoted("end")
    ('order_id', '"Order ID"', '"end"')
    """
    plain = re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in _KEYWORDS
    return name if plain else '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True, kw_only=True)
class TableName:
    """A table's schema and name, exactly as stored."""

    schema: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "TableName":
        """Read ``shop.orders`` or ``"Sales"."Customer Order"``; quotes are needed only around a dot.

        Raises
        ------
        SettingsError
            If it is not a schema and a table.
        """
        match = _NAME.fullmatch(text.strip()) if text.strip().isprintable() else None
        if match is None:
            raise SettingsError(
                f"{text!r} does not name a table with its schema.", "Write schema.table, such as shop.orders."
            )
        schema, name = (match[at].replace('""', '"') if match[at] else match[at + 1] for at in (1, 3))
        return cls(schema=schema, name=name)

    def __str__(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    def refuse_own(self) -> None:
        """Raise if the schema is Tidemill's or Postgres's own, or a name is too long.

        Raises
        ------
        SettingsError
            If nobody else may create tables there.
        """
        if self.schema in _OWN or self.schema.startswith("pg_"):
            raise SettingsError(f"The schema {self.schema!r} is not for other tables.", "Choose another, such as shop.")
        for name in (self.schema, self.name):
            if len(name.encode()) > MAX_BYTES:
                raise SettingsError(f"The name {name!r} is longer than {MAX_BYTES} bytes.", "Choose a shorter one.")


_WORDS = (
    "all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation "
    "column concurrently constraint create cross current_catalog current_date current_role current_schema current_time "
    "current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze "
    "from full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit "
    "localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references "
    "returning right select session_user similar some symmetric system_user table tablesample then to trailing true union "
    "unique user using variadic verbose when where window with between bigint bit boolean char character coalesce dec "
    "decimal exists extract float greatest grouping inout int integer interval least national nchar none normalize nullif "
    "numeric out overlay position precision real row setof smallint substring time timestamp treat trim values "
    "varchar"
)
_KEYWORDS = frozenset(_WORDS.split())
"""Words of SQL that a column may bear only in quotes."""
