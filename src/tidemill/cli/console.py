"""The command line's app, arguments that several commands share, and the console they print to."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

__all__ = ["HOME", "Cutoff", "DryRun", "Model", "PartitionKey", "app", "err", "out", "table_of"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Scheduled training, prediction, monitoring and retraining of tabular models.",
)
# Printed text comes from people and data: its square brackets are not styles.
out, err = Console(markup=False), Console(stderr=True, markup=False)

HOME = Path(".tidemill")

Model = Annotated[str, typer.Argument(help="Name of the model, such as flight_delays.")]
PartitionKey = Annotated[str, typer.Option(help="Key of the partition, such as 2013-07-01.")]
Cutoff = Annotated[datetime | None, typer.Option(help="Instant as of which features and labels are known; UTC.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Run everything without publishing or promoting.")]


def table_of(*columns: str) -> Table:
    """Return a table that wraps long words instead of truncating them, because a container's log has 80 columns."""
    return Table(*(Column(name, overflow="fold") for name in columns))
