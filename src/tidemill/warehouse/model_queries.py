"""The models' SQL: from ``:start``, ``:end`` and ``:cutoff`` to bound parameters.

A query runs exactly as written; only the three names are replaced, and never inside a string,
an identifier or a comment.
"""

import hashlib
import re
from collections.abc import Callable
from functools import partial

from tidemill.errors import SpecError

__all__ = ["PARAMETERS", "Query", "bind", "bind_named", "joined", "parameters_of", "query_digest"]

PARAMETERS = ("start", "end", "cutoff")

_TOKEN = re.compile(
    r"""(?P<skip>(?<!\w)[eE]'(?:\\.|[^'\\]|'')*'|'(?:[^']|'')*'|"[^"]*"|--[^\n]*|/\*.*?\*/"""
    r"""|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|::)"""
    r"""|:(?P<name>[A-Za-z_]\w*)|(?P<percent>%)|(?<!\w)(?P<setting>(?i:set_config))(?=\s*\()"""
    r"""|(?P<end>;(?=(?:[\s;]|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*\Z))""",  # only comments follow
    re.DOTALL,
)


class Query(str):
    """A bound query, and the file that it was read from."""

    __slots__ = ("file",)
    file: str


def bind(sql: str, file: str) -> Query:
    """Rewrite a query's names into psycopg2's placeholders.

    Parameters
    ----------
    sql : str
        The query; semicolons and comments may follow it.
    file : str
        Its name, for the error.

    Raises
    ------
    SpecError
        If it contains a name other than ``:start``, ``:end`` and ``:cutoff``, or calls ``set_config``; with its line.

    Examples
    --------
    >>> bind("SELECT '10:30' AS noon FROM t WHERE at < :cutoff AND x::int % 2 = 0", "t.sql")
    "SELECT '10:30' AS noon FROM t WHERE at < %(cutoff)s AND x::int %% 2 = 0"
    """
    return _bound(sql, file, _for_psycopg2)


def bind_named(sql: str, file: str) -> Query:
    """Rewrite a query's names into DuckDB's placeholders; parameters and errors as for `bind`.

    Examples
    --------
    >>> bind_named("SELECT '10:30' AS noon FROM t WHERE known < :cutoff AND x::int % 2 = 0", "t.sql")
    "SELECT '10:30' AS noon FROM t WHERE known < $cutoff AND x::int % 2 = 0"
    """
    return _bound(sql, file, _for_duckdb)


def parameters_of(sql: str) -> set[str]:
    """Return the names of a query's parameters.

    Examples
    --------
    >>> parameters_of("SELECT ':start' FROM t WHERE x::int > 1 AND known <= :cutoff")
    {'cutoff'}
    """
    return {match["name"] for match in _TOKEN.finditer(sql) if match["name"]}


def _for_psycopg2(text: str, *, is_parameter: bool) -> str:
    return f"%({text})s" if is_parameter else text.replace("%", "%%")


def _for_duckdb(text: str, *, is_parameter: bool) -> str:
    return f"${text}" if is_parameter else text


def _bound(sql: str, file: str, write: Callable[..., str]) -> Query:
    query = Query(_TOKEN.sub(partial(_rewritten, sql=sql, file=file, write=write), sql.rstrip()))
    query.file = file
    return query


def _rewritten(match: re.Match[str], sql: str, file: str, write: Callable[..., str]) -> str:
    """Return a token as an engine reads it; refuse what no query may contain."""
    if match["skip"] or match["percent"]:
        return write(match[0], is_parameter=False)
    if match["end"]:
        return ""
    line = sql.count("\n", 0, match.start()) + 1
    if match["setting"]:
        raise SpecError(
            f"{file}:{line}: set_config changes the session that other queries run in.",
            "Write the zone or the format into the expression itself, such as AT TIME ZONE 'Europe/Berlin'.",
        )
    if match["name"] not in PARAMETERS:
        raise SpecError(
            f"{file}:{line}: unknown parameter ':{match['name']}'.", "A query knows :start, :end and :cutoff."
        )
    return write(match["name"], is_parameter=True)


def query_digest(*queries: str) -> str:
    """SHA-256 of the queries' text, in order."""
    return hashlib.sha256(joined(*queries).encode()).hexdigest()


def joined(*queries: str) -> str:
    """Return queries joined into the text that their digest covers."""
    return "\0".join(queries)
