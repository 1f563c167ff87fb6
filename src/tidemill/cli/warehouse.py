"""Commands that maintain the platform: alerts, gc, doctor, install-check, migrate."""

import getpass
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer
from rich.table import Column, Table

from tidemill.cli.console import AsJson, Model, app, err, out, show
from tidemill.workspace import LEDGER, Workspace, connection_from_environment

if TYPE_CHECKING:
    from tidemill.doctor import Finding

__all__: list[str] = []

Held = Literal["release", "prediction_run", "partition", "snapshot"]

PANEL = "Alerts and maintenance"  # heading in the help


@app.command(rich_help_panel=PANEL)
def alerts(
    model: Annotated[str | None, typer.Argument(help="Model whose open alerts to list; all by default.")] = None,
    acknowledge: Annotated[int | None, typer.Option(help="Number of an alert to acknowledge.")] = None,
    by: Annotated[str | None, typer.Option(help="Who does it; by default the user of this shell.")] = None,
    reason: Annotated[str, typer.Option(help="Why nobody else has to act; --acknowledge needs it.")] = "",
    until: Annotated[
        datetime | None, typer.Option(help="When the acknowledgement ends; UTC, never by default.")
    ] = None,
    send: Annotated[bool, typer.Option("--send", help="Send waiting messages that are due.")] = False,
    channel: Annotated[str | None, typer.Option("--try", help="Send a test message to this channel.")] = None,
    as_json: AsJson = False,
) -> None:
    """List open alerts; acknowledge one, send waiting messages, or test a channel."""
    from tidemill.delivery.sending import send_waiting, try_channel
    from tidemill.warehouse.alerts.state import Acknowledgement, Alerts
    from tidemill.workspace import LEDGER

    workspace = Workspace.from_environment()
    store = Alerts(workspace.connection(LEDGER))
    if channel is not None:
        try_channel(workspace, channel)
        out.print(f"Channel {channel} accepted a test message.")
        return
    if acknowledge is not None:
        said = Acknowledgement(by=by or getpass.getuser(), reason=reason, until=_in_utc(until))
        known = store.acknowledge(acknowledge, said)
        if known is None:
            raise typer.BadParameter(f"no alert {acknowledge} is open", param_hint="--acknowledge")
    listed = store.open(model)
    rows = [
        {
            "alert": item.alert_id,
            "model": item.model,
            "rule": item.alert.rule,
            "severity": item.alert.severity.value,
            "since": item.first_partition,
            "last": item.last_partition,
            "owner": item.owner,
            "known_to": item.acknowledged_by,
            "why_known": item.acknowledged_reason or None,
            "known_until": item.acknowledged_until,
            "what": item.alert.message,
        }
        for item in listed
    ]
    styles = ["red" if row["severity"] == "fail" else None for row in rows]
    show(rows, as_json=as_json, empty="No alert is open.", styles=styles)
    if send:
        sent = send_waiting(workspace, model=model)
        notes = out if out.is_terminal and not as_json else err
        notes.print(f"{sent.n_sent} message(s) sent, {sent.n_waiting} waiting.")
        for problem in sent.problems:
            notes.print(problem, soft_wrap=True)


@app.command(rich_help_panel=PANEL)
def reader(
    name: Annotated[str, typer.Argument(help="Name of the login, such as bi.")],
    passfile: Annotated[
        Path | None, typer.Option(help="New file for the password, in libpq's format; by default it is printed once.")
    ] = None,
    new_password: Annotated[
        bool, typer.Option("--new-password", help="Set a new password for an existing login.")
    ] = False,
) -> None:
    """Make a login for a BI tool or dbt: it reads the published views, and nothing else."""
    from tidemill.machine.files import write_private
    from tidemill.warehouse.predictions.readers import allow_reader

    if passfile is not None and passfile.exists():
        raise typer.BadParameter(f"{passfile} exists already", param_hint="--passfile")
    login = allow_reader(connection_from_environment("tidemill_owner"), name, new_password=new_password)
    out.print(f"{name} may read the published views.", highlight=False, soft_wrap=True)
    if login.password is None:
        out.print("Its password is unchanged; --new-password sets another.", highlight=False, soft_wrap=True)
        out.print(f"Connection: {login.url}", highlight=False, soft_wrap=True)
    elif passfile is None:
        out.print(f"Connection: {login.url}", highlight=False, soft_wrap=True)
        out.print(f"Password, shown only now: {login.password}", highlight=False, soft_wrap=True)
    else:
        write_private(passfile, f"{login.passline}\n")
        out.print(f"Connection: {login.url}?passfile={passfile.resolve()}", highlight=False, soft_wrap=True)


@app.command(rich_help_panel=PANEL)
def gc(
    models: Annotated[list[str] | None, typer.Argument(help="Models to clean up; all by default.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be removed.")] = False,
) -> None:
    """Remove data beyond retention: unpublished and replaced rows, and files that nothing needs."""
    from tidemill.retention import collect_garbage

    table = Table("outcome", "model", "kind", Column("name", overflow="fold"), Column("bytes", justify="right"), "why")
    removals = collect_garbage(Workspace.from_environment(), models or [], dry_run=dry_run)
    for item in removals:
        table.add_row(item.outcome, item.model, item.kind, item.name, f"{item.size_bytes:,}", item.reason)
    size_bytes = sum(item.size_bytes for item in removals if item.outcome in ("due", "collected"))
    out.print(table if removals else "Nothing is due.")
    out.print(f"{size_bytes:,} bytes {'would be' if dry_run else 'are'} freed.", highlight=False)


@app.command("remove-model", rich_help_panel=PANEL)
def remove_model(
    model: Model,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove it; without this, only list what would be removed.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, for the audit; needed with --yes.")] = "",
    by: Annotated[str | None, typer.Option(help="Who does it; by default the user of this shell.")] = None,
    as_json: AsJson = False,
) -> None:
    """Remove a model whose spec is gone: its view, predictions, releases, records, files, and what MLflow shows."""
    from tidemill.operations.remove_model import dags_of, removable, remove_model

    if yes and not reason:
        raise typer.BadParameter("say why", param_hint="--reason")
    workspace = Workspace.from_environment()
    rows, dag_ids = [part.to_dict() for part in removable(workspace, model)], dags_of(workspace, model)
    if yes:
        owner = connection_from_environment("tidemill_owner")
        remove_model(workspace, owner, model, by=by or getpass.getuser(), reason=reason)
    show(rows, as_json=as_json, empty=f"There is nothing of {model}.")
    if as_json:
        return
    notes = out if out.is_terminal else err
    said = (
        f"{model} is removed; the audit keeps its events."
        if yes
        else "Nothing is removed yet: add --yes --reason TEXT."
    )
    notes.print(said, highlight=False, soft_wrap=True)
    for dag_id in dag_ids:
        notes.print(f"Airflow keeps its runs: airflow dags delete {dag_id}", highlight=False, soft_wrap=True)


@app.command(rich_help_panel=PANEL)
def hold(
    model: Model,
    what: Annotated[Held, typer.Argument(help="What to hold.")],
    name: Annotated[str, typer.Argument(help="Its number, key or digest.")],
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    by: Annotated[str | None, typer.Option(help="Who does it; by default the user of this shell.")] = None,
) -> None:
    """Exempt a release, prediction run, partition or snapshot from retention."""
    from tidemill.warehouse.releases.holds import Holds

    workspace = Workspace.from_environment()
    Holds(workspace.connection(LEDGER)).hold(
        workspace.spec(model).model, what, name, reason, by=by or getpass.getuser()
    )
    out.print(f"The {what} {name} of {model} is held.", highlight=False)


@app.command(rich_help_panel=PANEL)
def unhold(
    model: Model,
    what: Annotated[Held, typer.Argument(help="What to hold.")],
    name: Annotated[str, typer.Argument(help="Its number, key or digest.")],
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    by: Annotated[str | None, typer.Option(help="Who does it; by default the user of this shell.")] = None,
) -> None:
    """End an exemption from retention."""
    from tidemill.warehouse.releases.holds import Holds

    Holds(Workspace.from_environment().connection(LEDGER)).unhold(model, what, name, reason, by=by or getpass.getuser())
    out.print(f"The {what} {name} of {model} is no longer held.", highlight=False)


@app.command(rich_help_panel=PANEL)
def held(
    model: Annotated[str | None, typer.Argument(help="Model; all by default.")] = None, as_json: AsJson = False
) -> None:
    """List what is exempt from retention, by whom and why."""
    from tidemill.warehouse.releases.holds import Holds

    rows = [
        {
            "model": item.model,
            "what": item.what,
            "name": item.name,
            "why": item.why,
            "by": item.held_by,
            "since": item.held_at,
        }
        for item in Holds(Workspace.from_environment().connection(LEDGER)).held(model)
    ]
    show(rows, as_json=as_json, empty="Nothing is held.")


@app.command(rich_help_panel=PANEL)
def doctor(
    as_of: Annotated[
        datetime | None, typer.Option(help="Instant as of which to judge freshness; UTC, now by default.")
    ] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Hash every kept file and read every published row.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Repair MLflow's alias, and close steps whose process died.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Examine ledger, storage, MLflow and machine; exit status 1 if anything fails. Works without Airflow."""
    from tidemill.doctor import examine

    findings = examine(Workspace.from_environment(), as_of=_in_utc(as_of), deep=deep, repair=repair)
    _tell(findings, as_json=as_json)


def _in_utc(instant: datetime | None) -> datetime | None:
    """Return an instant that was given without a zone as one in UTC."""
    return instant.replace(tzinfo=UTC) if instant and instant.tzinfo is None else instant


@app.command("install-check", rich_help_panel=PANEL)
def install_check(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Report what this machine's Airflow lacks for Tidemill, with remedies; exit status 1 if anything is missing."""
    try:
        from tidemill.doctor import examine_installation
    except ModuleNotFoundError as error:  # the doctor needs the packages that it would look for
        _tell_missing(error, as_json=as_json)
    _tell(examine_installation(), as_json=as_json)


def _tell_missing(error: ModuleNotFoundError, *, as_json: bool) -> NoReturn:
    """Print the only finding where packages are missing, and end with status 1."""
    from tidemill.requirements import module_missing

    message, _, remedy = module_missing(error).partition("\n")
    if as_json:
        item = {"check": "requirements", "subject": "environment", "severity": "fail"}
        print(json.dumps([item | {"message": message, "remedy": remedy}], indent=2))  # noqa: T201 - for other programs
    else:
        out.print(f"{message}\n{remedy}\nThe other checks follow once they are there.", soft_wrap=True)
    raise typer.Exit(1)


def _tell(findings: "Sequence[Finding]", *, as_json: bool) -> None:
    """Print findings, and end with status 1 if anything fails."""
    colours = {"warn": "yellow", "fail": "red"}
    rows = [item.to_dict() for item in findings]
    show(rows, as_json=as_json, styles=[colours.get(item.severity.value) for item in findings])
    if any(item.severity.value == "fail" for item in findings):
        raise typer.Exit(1)


@app.command(rich_help_panel=PANEL)
def migrate() -> None:
    """Upgrade the ledger's schema, as the role that owns it."""
    from tidemill.warehouse.migrations import apply_migrations

    applied = apply_migrations(connection_from_environment("tidemill_owner"))
    out.print(f"Applied {', '.join(applied)}." if applied else "The ledger is up to date.")
