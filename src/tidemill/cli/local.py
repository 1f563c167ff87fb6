"""The commands of the local stack and of the example."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from tidemill.cli.console import HOME, AsJson, app, out, show
from tidemill.workspace import read_environment_file

if TYPE_CHECKING:
    from tidemill.local.stack import Summary

__all__: list[str] = []

PANEL = "Local stack"  # heading in the help


@app.command(rich_help_panel=PANEL)
def up() -> None:
    """Start Postgres, MLflow and Airflow on this machine."""
    _print_addresses(_start())


@app.command(rich_help_panel=PANEL)
def down() -> None:
    """Stop the local stack."""
    from tidemill.local import stack

    stack.down(HOME, out.print)


@app.command(rich_help_panel=PANEL)
def backup() -> None:
    """Back up the stopped stack's Postgres, and print how to restore it."""
    from datetime import UTC, datetime

    from tidemill.local.backup import back_up

    made = back_up(HOME, datetime.now(UTC), out.print)
    if made is not None:
        out.print(
            f"To restore it: make down, check out the earlier version, and then:\n{made.restore_command}",
            soft_wrap=True,
        )


@app.command(rich_help_panel=PANEL)
def remove() -> None:
    """Stop the local stack and delete all of its state."""
    from tidemill.local import stack

    stack.remove(HOME, out.print)


@app.command(rich_help_panel=PANEL)
def status(as_json: AsJson = False) -> None:
    """Show the state of the local stack's components; exit status 1 unless all run."""
    from tidemill.local import stack

    rows = stack.status(HOME)
    shown = [
        {
            "component": row.component,
            "state": row.state,
            "pid": row.pid,
            "restarts": row.restarts,
            "last_exit": row.last_exit,
            "url": row.url,
        }
        for row in rows
    ]
    show(shown, as_json=as_json, empty="No stack has been started here. Start one: make up.")
    if rows and out.is_terminal and not as_json:
        out.print(f"Logins: {HOME / 'secrets'}, in airflow-login.json and mlflow-login.json.", soft_wrap=True)
    if not rows or any(row.state != "running" for row in rows):
        raise typer.Exit(1)


@app.command(rich_help_panel=PANEL)
def sql(query: Annotated[str, typer.Argument(help="A SELECT on the warehouse.")]) -> None:
    """Query the warehouse as the role that can only read."""
    from tidemill.local import stack

    answer = stack.sql(HOME, query)
    table = Table(*(Column(name, overflow="fold") for name in answer.columns))
    for row in answer.rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    out.print(table)
    out.print(f"{len(answer.rows)} row(s)")


@app.command(
    rich_help_panel=PANEL,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def airflow(context: typer.Context) -> None:
    """Run a command of the local stack's Airflow; --help is also Airflow's."""
    from tidemill.local import stack

    raise typer.Exit(stack.airflow(HOME, context.args))


@app.command(rich_help_panel=PANEL)
def demo(
    airflow: Annotated[
        str | None, typer.Option(help="URL of a running Airflow; by default a local stack is started.")
    ] = None,
    user: Annotated[str, typer.Option(help="Login on that Airflow.")] = "admin",
    password_file: Annotated[Path | None, typer.Option(help="File with its password.")] = None,
) -> None:
    """Run the whole chain on New York's flights through the real scheduler."""
    from tidemill.local import stack
    from tidemill.local.airflow_api import AirflowApi
    from tidemill_examples.demo import load_example, run_chains

    if airflow is None:
        summary = _start()
        load_example(out)
        succeeded = run_chains(AirflowApi(summary.ui_url, *stack.login(HOME)), out)
        _print_addresses(summary)
    elif password_file is None:
        raise typer.BadParameter("a running Airflow needs --password-file", param_hint="--airflow")
    else:
        succeeded = run_chains(AirflowApi(airflow, user, password_file.read_text(encoding="utf-8").strip()), out)
    if not succeeded:
        raise typer.Exit(1)


def _start() -> "Summary":
    from tidemill.local import stack

    summary = stack.up(HOME, Path.cwd(), out.print)
    read_environment_file(HOME / "environment")
    return summary


def _print_addresses(summary: "Summary") -> None:
    """Print the addresses and the logins; nothing else shows the passwords."""
    from tidemill.local import stack

    logins = (stack.login(HOME), stack.mlflow_login(HOME))
    airflow, mlflow = (f"login: {user}   password: {password}" for user, password in logins)
    for line in (
        f"Airflow   {summary.ui_url}   {airflow}",
        f"MLflow    {summary.mlflow_url}   {mlflow}",
        "Postgres  make sql Q='SELECT …'",
    ):
        out.print(line, soft_wrap=True, highlight=False)
