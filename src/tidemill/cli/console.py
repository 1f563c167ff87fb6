"""The command line's app, arguments that several commands share, and the console they print to."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table

__all__ = [
    "HOME",
    "AsJson",
    "Cutoff",
    "DryRun",
    "Model",
    "PartitionKey",
    "app",
    "err",
    "out",
    "print_json",
    "show",
    "table_of",
]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Scheduled training, prediction, monitoring and retraining of tabular models.",
)
# Printed text comes from people and data: its square brackets are not styles.
out, err = Console(markup=False), Console(stderr=True, markup=False)

HOME = Path(".tidemill")
_UNBOUNDED = 100_000  # characters; wider than any table

Model = Annotated[str, typer.Argument(help="Name of the model, such as flight_delays.")]
PartitionKey = Annotated[str, typer.Option(help="Key of the partition, such as 2013-07-01.")]
Cutoff = Annotated[datetime | None, typer.Option(help="Instant as of which features and labels are known; UTC.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Run everything without publishing or promoting.")]


def _print_version(asked: bool) -> None:
    if asked:
        from tidemill._version import __version__

        print(__version__)  # noqa: T201 - for other programs, without colours or wrapping
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Scheduled training, prediction, monitoring and retraining of tabular models."""


def print_json(value: Any) -> None:
    """Print a value as JSON for other programs, instants in ISO 8601."""
    print(json.dumps(value, indent=2, default=_in_iso))  # noqa: T201 - for other programs, without colours or wrapping


def show(
    rows: Sequence[Mapping[str, Any]],
    *,
    as_json: bool,
    empty: str = "",
    styles: Sequence[str | None] = (),
) -> None:
    """Print records: JSON if asked, lines of tab-separated values when piped, and a table or a list on a terminal.

    Parameters
    ----------
    rows : sequence of mapping
        Records with the same keys; a key is a column's heading with ``_`` for each space.
    empty : str
        Sentence for no rows. In a pipe it goes to standard error, so that standard output has only rows.
    styles : sequence of str or None
        A rich style per row, for a terminal.
    """
    if as_json:
        print_json(list(rows))
    elif not rows:
        (out if out.is_terminal else err).print(empty, highlight=False, soft_wrap=True)
    elif not out.is_terminal:
        writer = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
        writer.writerow(rows[0])
        writer.writerows([_text(value) for value in row.values()] for row in rows)
    else:
        _show_on_terminal(rows, list(styles) or [None] * len(rows))


def _show_on_terminal(rows: Sequence[Mapping[str, Any]], styles: Sequence[str | None]) -> None:
    """Print a table, or one block of lines per record if the table's columns would have to be narrower than their text."""
    table = table_of(*(name.replace("_", " ") for name in rows[0]))
    for row, style in zip(rows, styles, strict=True):
        table.add_row(*(_text(value) for value in row.values()), style=style)
    if Measurement.get(out, out.options.update(width=_UNBOUNDED), table).maximum <= out.width:
        out.print(table)
        return
    for row, style in zip(rows, styles, strict=True):
        for name, value in row.items():
            out.print(f"{name.replace('_', ' ')}: {_text(value)}", style=style, highlight=False, soft_wrap=True)
        out.print()


def _text(value: Any) -> str:
    """Return a value as one cell: instants to the minute, ``-`` for None."""
    if value is None:
        return "-"
    return f"{value:%Y-%m-%d %H:%M %Z}".strip() if isinstance(value, datetime) else str(value)


def _in_iso(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def table_of(*columns: str) -> Table:
    """Return a table that wraps long words instead of truncating them, because a container's log has 80 columns."""
    return Table(*(Column(name, overflow="fold") for name in columns))
