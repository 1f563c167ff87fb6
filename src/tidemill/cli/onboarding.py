"""The command that brings a file into the warehouse: load."""

from pathlib import Path
from typing import Annotated

import typer

from tidemill.cli.console import app, err, out, table_of
from tidemill.workspace import connection_from_environment

__all__: list[str] = []

PANEL = "Data"  # heading in the help


@app.command(rich_help_panel=PANEL)
def load(
    file: Annotated[Path | None, typer.Argument(help="CSV or Parquet file; without it, the examples' data.")] = None,
    table: Annotated[str | None, typer.Argument(help="New table with its schema, such as shop.orders.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the table if it exists.")] = False,
) -> None:
    """Load a CSV or Parquet file into a new table; without a file, load the examples' data."""
    if file is None:
        from tidemill_examples.demo import load_example

        load_example(out)
        return
    if table is None:
        raise typer.BadParameter("say which table to create, such as shop.orders", param_hint="TABLE")
    from tidemill.onboarding.loading import load_file
    from tidemill.onboarding.names import TableName

    name = TableName.parse(table)
    loaded = load_file(connection_from_environment("tidemill_owner"), file, name, replace=replace)
    shown = table_of("column", "type")
    for column, sql_type in loaded.columns.items():
        shown.add_row(column, sql_type)
    out.print(shown)
    for note in loaded.notes:
        err.print(f"Note: {note}", highlight=False, soft_wrap=True)
    out.print(f"Loaded {loaded.n_rows:,} rows into {name}.", highlight=False, soft_wrap=True)
