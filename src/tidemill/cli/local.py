"""Commands of the local stack, and of the example."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from tidemill.cli.console import HOME, app, out

__all__: list[str] = []


@app.command()
def load() -> None:
    """Load the example's data, the flights that left New York in 2013, into the warehouse."""
    from tidemill.local.demo import load_example

    load_example(out)


@app.command()
def up() -> None:
    """Start Postgres, MLflow and Airflow on this machine."""
    from tidemill.local.demo import start, tell_where

    tell_where(out, start(HOME, Path.cwd(), out), HOME)


@app.command()
def down() -> None:
    """Stop the local stack."""
    from tidemill.local import stack

    stack.down(HOME, out.print)


@app.command()
def backup() -> None:
    """Copy the data of the stopped stack's Postgres, and print how to go back to it."""
    from datetime import UTC, datetime

    from tidemill.local.backup import back_up

    made = back_up(HOME, datetime.now(UTC), out.print)
    if made is not None:
        out.print(f"To go back: make down, take the version of before, and then:\n{made.way_back}", soft_wrap=True)


@app.command()
def remove() -> None:
    """Stop the local stack and delete everything that it kept."""
    from tidemill.local import stack

    stack.remove(HOME, out.print)


@app.command()
def status() -> None:
    """Show the local stack's components."""
    from tidemill.local import stack

    rows = stack.status(HOME)
    table = Table("component", "state", "pid", "restarts", "last exit", Column("url", overflow="fold"))
    for row in rows:
        table.add_row(row.component, row.state, str(row.pid or ""), str(row.restarts), row.last_exit, row.url)
    out.print(table if rows else "No stack has been started here: make up.")
    if not rows or any(row.state not in ("running",) for row in rows):
        raise typer.Exit(1)


@app.command()
def sql(query: Annotated[str, typer.Argument(help="A SELECT on the warehouse.")]) -> None:
    """Ask the warehouse, as the role that can only read."""
    from tidemill.local import stack

    answer = stack.sql(HOME, query)
    table = Table(*(Column(name, overflow="fold") for name in answer.columns))
    for row in answer.rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    out.print(table)
    out.print(f"{len(answer.rows)} row(s)")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def airflow(context: typer.Context) -> None:
    """Run a command of the local stack's Airflow; --help is Airflow's, too."""
    from tidemill.local import stack

    raise typer.Exit(stack.airflow(HOME, context.args))


@app.command()
def demo(
    airflow: Annotated[
        str | None, typer.Option(help="URL of an Airflow that is there; by default one is started.")
    ] = None,
    user: Annotated[str, typer.Option(help="Login on that Airflow.")] = "admin",
    password_file: Annotated[Path | None, typer.Option(help="File with its password.")] = None,
) -> None:
    """Run the whole chain on New York's flights through the real scheduler."""
    from tidemill.local.airflow_api import AirflowApi
    from tidemill.local.demo import run_chains, run_demo

    if airflow is None:
        succeeded = run_demo(HOME, Path.cwd(), out)
    elif password_file is None:
        raise typer.BadParameter("an Airflow that is there needs --password-file", param_hint="--airflow")
    else:
        succeeded = run_chains(AirflowApi(airflow, user, password_file.read_text(encoding="utf-8").strip()), out)
    if not succeeded:
        raise typer.Exit(1)
