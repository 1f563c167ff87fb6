"""The command line: the same steps as the DAGs, and the local stack. Reads arguments and prints; nothing else."""

import getpass
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from tidemill.errors import TidemillError
from tidemill.workspace import Workspace, connection_from_environment, read_environment_file

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Scheduled training, prediction, monitoring and retraining of tabular models.",
)
out, err = Console(), Console(stderr=True)

HOME = Path(".tidemill")

Model = Annotated[str, typer.Argument(help="Name of the model, such as flight_delays.")]
PartitionKey = Annotated[str, typer.Option(help="Key of the partition, such as 2013-07-01.")]
Cutoff = Annotated[datetime | None, typer.Option(help="Instant as of which features and labels are known; UTC.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Do everything but change what is visible.")]


def main() -> None:
    """Run the command line; a failure is one clear message on standard error, and exit status 1."""
    read_environment_file(HOME / "environment")
    try:
        app()
    except TidemillError as error:
        err.print(f"[bold red]{type(error).__name__}[/]: ", end="")
        err.print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


# ---------------------------------------------------------------- models


@app.command()
def check(
    models: Annotated[list[str] | None, typer.Argument(help="Models to check; all by default.")] = None,
    source: Annotated[bool, typer.Option(help="Ask the source about tables and columns too.")] = True,
) -> None:
    """Report every problem of the specs, contracts and queries, with file and line."""
    from tidemill.checking import check_models

    problems = check_models(Workspace.from_environment(reads_only=True), models or [], source=source)
    for problem in problems:
        err.print(problem, markup=False, highlight=False, soft_wrap=True)
    if problems:
        err.print(f"{len(problems)} problem(s).")
        raise typer.Exit(1)
    out.print("Specs, contracts and queries are in order.")


@app.command()
def schema() -> None:
    """Print the JSON Schema of the spec, for editors."""
    from tidemill.spec_schema import json_schema

    print(json.dumps(json_schema(), indent=2))  # noqa: T201 - a file's content, without colours or wrapping


@app.command()
def train(
    model: Model, partition: PartitionKey, cutoff: Cutoff = None, dry_run: DryRun = False, reason: str = ""
) -> None:
    """Train a challenger as of a partition, and let the gate decide."""
    from tidemill.steps.chains import train_chain

    workspace = Workspace.from_environment()
    chain = train_chain(workspace.spec(model), dry_run=dry_run, reason=reason)
    record = _drive("train", chain, model, partition, workspace, cutoff)
    _say_decision(record["decision"])


@app.command()
def predict(
    model: Model,
    partition: Annotated[str | None, typer.Option(help="One partition, such as 2013-07-01.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First of many partitions.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last of many partitions, included.")] = None,
    policy: Annotated[str, typer.Option(help="live_then, current or release=<id>.")] = "live_then",
    simulate: Annotated[bool, typer.Option("--simulate", help="Allow a release from after the partition.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Score what the release has published already, too.")] = False,
    cutoff: Cutoff = None,
    dry_run: DryRun = False,
) -> None:
    """Score a partition, or many, and publish the rows."""
    from tidemill.steps.backfill import Policy
    from tidemill.steps.chains import predict_chain

    chosen, workspace = Policy.parse(policy), Workspace.from_environment()
    if partition is None:
        if first is None or last is None or dry_run or cutoff:
            raise typer.BadParameter("give --partition, or --from and --to without --dry-run and --cutoff")
        _backfill(workspace, model, first, last, chosen, simulate=simulate, again=again)
        return
    release = _chosen_release(workspace, model, chosen)
    chain = predict_chain(release=release, simulate=simulate, dry_run=dry_run)
    record = _drive("predict", chain, model, partition, workspace, cutoff)
    verb = "published" if record["published"] else "written, not published"
    out.print(
        f"{record['n_rows']:,} rows of release {record['release_id']} {verb}, mean score {record['mean_score']:.4f}."
    )


@app.command()
def monitor(model: Model, partition: PartitionKey) -> None:
    """Look at a partition: drift, matured quality, cost, alerts."""
    from tidemill.steps.chains import monitor_chain

    workspace = Workspace.from_environment()
    record = _drive("monitor", monitor_chain(), model, partition, workspace, None)
    out.print(f"The page is {workspace.storage / record['uri'] / 'index.html'}.", soft_wrap=True)


@app.command()
def retrain(model: Model, partition: PartitionKey, dry_run: DryRun = False) -> None:
    """Decide whether a new challenger is due, and train it if so."""
    from tidemill.steps.chains import retrain_chain

    workspace = Workspace.from_environment()
    record = _drive("retrain", retrain_chain(workspace.spec(model), dry_run=dry_run), model, partition, workspace, None)
    for reason in record["reasons"]:
        out.print(f"  {reason}", highlight=False, soft_wrap=True)


@app.command()
def run(
    model: Model,
    step: Annotated[str, typer.Option(help="Step to stop after, such as extract or evaluate.")],
    partition: PartitionKey,
    chain: Annotated[str, typer.Option(help="train, predict, monitor or retrain.")] = "train",
    cutoff: Cutoff = None,
) -> None:
    """Run a chain up to a step, and print the step's record as JSON."""
    from tidemill.steps.chains import monitor_chain, predict_chain, retrain_chain, train_chain

    workspace = Workspace.from_environment()
    spec = workspace.spec(model)
    chains: dict[str, Callable[[], Any]] = {
        "train": lambda: train_chain(spec, dry_run=True),
        "predict": lambda: predict_chain(dry_run=True),
        "monitor": monitor_chain,
        "retrain": lambda: retrain_chain(spec, dry_run=True),
    }
    if chain not in chains:
        raise typer.BadParameter(f"{chain!r} is not one of {', '.join(chains)}", param_hint="--chain")
    record = _drive(chain, chains[chain](), model, partition, workspace, cutoff, until=step)
    print(json.dumps(record, indent=2))  # noqa: T201 - for other programs, without colours or wrapping


@app.command()
def history(model: Model) -> None:
    """Show which release was live when, by whose word and why."""
    from tidemill.warehouse.releases import Releases
    from tidemill.workspace import LEDGER

    workspace = Workspace.from_environment()
    deployments = Releases(workspace.connection(LEDGER)).deployments(workspace.spec(model).model)
    table = Table("live from", "release", "was", "what", "by", "why", "recorded")
    for item in deployments:
        table.add_row(
            f"{item.live_from:%Y-%m-%d %H:%M %Z}", str(item.release_id), str(item.previous_release_id or "-"), item.kind,
            item.approved_by, item.reason, f"{item.deployed_at:%Y-%m-%d %H:%M}",
        )  # fmt: skip
    out.print(table if deployments else f"Nothing of {model} has ever been live.")


@app.command()
def trace(
    model: Model, entity: Annotated[str, typer.Argument(help="Entity key of the row.")], partition: PartitionKey
) -> None:
    """Show everything behind one published prediction: data, query, code, packages, release, evidence, approver."""
    from tidemill.warehouse.lineage import trace as trace_row
    from tidemill.workspace import LEDGER

    table = Table("what", Column("value", overflow="fold"))
    for name, value in trace_row(Workspace.from_environment().connection(LEDGER), model, entity, partition).items():
        table.add_row(name.replace("_", " "), "not on record" if value is None else str(value))
    out.print(table)


@app.command()
def promote(
    model: Model,
    release: Annotated[int, typer.Argument(help="Release to promote.")],
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    by: Annotated[str | None, typer.Option(help="Who does it; by default the user of this shell.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Against the gate's verdict.")] = False,
) -> None:
    """Make a release the champion on a person's word."""
    from tidemill.steps.rollback import promote_by_hand

    workspace = Workspace.from_environment()
    promote_by_hand(
        workspace.spec(model), workspace, release, force=force, approved_by=by or getpass.getuser(), reason=reason
    )
    out.print(f"Release {release} of {model} is the champion.")


@app.command()
def rollback(
    model: Model,
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    to: Annotated[int | None, typer.Option(help="Release to go back to; by default the one before.")] = None,
    republish: Annotated[str | None, typer.Option(help="Partitions to take back, <from>..<to>.")] = None,
    by: Annotated[str | None, typer.Option(help="Who does it; by default the user of this shell.")] = None,
) -> None:
    """Make an earlier champion the champion again, and take back what the undone releases have published."""
    from tidemill.steps.rollback import roll_back

    first, separator, last = (republish or "").partition("..")
    if republish and not (first and separator and last):
        raise typer.BadParameter("write <from>..<to>, such as 2013-07-01..2013-07-07", param_hint="--republish")
    workspace = Workspace.from_environment()
    done = roll_back(
        workspace.spec(model),
        workspace,
        to=to,
        republish=(first, last) if republish else None,
        approved_by=by or getpass.getuser(),
        reason=reason,
    )
    undone = ", ".join(str(item) for item in done.undone) or "nothing"
    out.print(f"Release {done.release_id} of {model} is the champion; undone: {undone}.")
    if republish:
        out.print(f"{len(done.restored)} partition(s) restored, {len(done.rescored)} scored again.")


# ---------------------------------------------------------------- warehouse and local stack


@app.command()
def gc(
    models: Annotated[list[str] | None, typer.Argument(help="Models to collect for; all by default.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would go.")] = False,
) -> None:
    """Remove what retention no longer keeps: unpublished and replaced rows, files that nothing stands on."""
    from tidemill.retention import collect_garbage

    table = Table("outcome", "model", "kind", Column("name", overflow="fold"), Column("bytes", justify="right"), "why")
    removals = collect_garbage(Workspace.from_environment(), models or [], dry_run=dry_run)
    for item in removals:
        table.add_row(item.outcome, item.model, item.kind, item.name, f"{item.size_bytes:,}", item.reason)
    size_bytes = sum(item.size_bytes for item in removals if item.outcome in ("due", "collected"))
    out.print(table if removals else "Nothing is due.")
    out.print(f"{size_bytes:,} bytes {'would be' if dry_run else 'are'} freed.", highlight=False)


@app.command()
def doctor(
    as_of: Annotated[datetime | None, typer.Option(help="Instant to judge freshness at; UTC, now by default.")] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Hash every kept file and read every published row.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Mend MLflow's alias, close steps that died.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Examine ledger, storage, MLflow and machine; exit status 1 if anything fails. Works without Airflow."""
    from datetime import UTC

    from tidemill.doctor import Health, examine

    instant = as_of.replace(tzinfo=UTC) if as_of and as_of.tzinfo is None else as_of
    findings = examine(Workspace.from_environment(), as_of=instant, deep=deep, repair=repair)
    if as_json:
        print(json.dumps([item.to_dict() for item in findings], indent=2))  # noqa: T201 - for other programs
    else:
        table, colours = Table("", "check", "subject", "found", "remedy"), {"warn": "yellow", "fail": "red"}
        for item in findings:
            cells = (item.severity.value, item.check, item.subject, item.message, item.remedy)
            table.add_row(*map(escape, cells), style=colours.get(item.severity.value))
        out.print(table)
    if any(item.severity is Health.FAIL for item in findings):
        raise typer.Exit(1)


@app.command()
def migrate() -> None:
    """Bring the ledger's schema up to date, as the role that owns it."""
    from tidemill.warehouse.migrations import apply_migrations

    applied = apply_migrations(connection_from_environment("tidemill_owner"))
    out.print(f"Applied {', '.join(applied)}." if applied else "The ledger is up to date.")


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
def demo() -> None:
    """Run the whole chain on New York's flights through the real scheduler."""
    from tidemill.local.demo import run_demo

    if not run_demo(HOME, Path.cwd(), out):
        raise typer.Exit(1)


# ---------------------------------------------------------------- printing


def _drive(
    name: str,
    chain: Any,
    model: str,
    partition: str,
    workspace: Workspace,
    cutoff: datetime | None,
    until: str | None = None,
) -> dict[str, Any]:
    from datetime import UTC

    from tidemill.steps.chains import drive

    with _progress() as on_step:
        return drive(
            name, chain, model, partition, workspace, until=until, on_step=on_step,
            cutoff=cutoff if cutoff is None or cutoff.tzinfo else cutoff.replace(tzinfo=UTC),
        )  # fmt: skip


@contextmanager
def _progress() -> Iterator[Callable[[str, dict[str, Any] | None], None]]:
    """Show which step is running, on standard error, so that standard output stays clean."""
    with err.status("") as spinner:

        def on_step(step: str, record: dict[str, Any] | None) -> None:
            if record is None:
                spinner.update(f"{step} …")
            else:
                err.print(f"[green]✓[/] {step} {record.get('estimator', '')}", highlight=False)

        yield on_step


def _chosen_release(workspace: Workspace, model: str, policy: Any) -> int | None:
    from tidemill.steps.backfill import release_of
    from tidemill.warehouse.releases import Releases
    from tidemill.workspace import LEDGER

    return release_of(model, Releases(workspace.connection(LEDGER)), policy)


def _backfill(workspace: Workspace, model: str, first: str, last: str, policy: Any, **options: bool) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from tidemill.steps.backfill import backfill

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err) as progress:
        bar = progress.add_task(model, total=None)
        result = backfill(
            workspace.spec(model), first, last, workspace, policy=policy, **options,
            on_partition=lambda key, done, total: progress.update(bar, description=key, completed=done, total=total),
        )  # fmt: skip
    out.print(f"{len(result.scored)} scored, {len(result.present)} were there already, {len(result.failed)} failed.")
    for key, message in result.failed:
        err.print(f"{key}: {message}", markup=False, highlight=False, soft_wrap=True)
    if result.failed:
        raise typer.Exit(1)


def _say_decision(decision: dict[str, Any]) -> None:
    accepted = decision["verdict"] == "accept"
    out.print(f"[bold]{'Accepted' if accepted else 'Not accepted'}[/]: {decision['verdict'].replace('_', ' ')}")
    for reason in decision["reasons"]:
        out.print(f"  {reason}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
