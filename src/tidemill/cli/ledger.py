"""Commands on a model's records in the ledger: history, one row, the champion, withheld rows, reproducing a release."""

import getpass
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from tidemill.cli.console import AsJson, Model, PartitionKey, app, err, out, print_json, show
from tidemill.workspace import Workspace

if TYPE_CHECKING:
    from tidemill.operations.explain import FeaturePart
    from tidemill.warehouse.predictions.publisher import PublishedRun
    from tidemill.warehouse.predictions.withholding import WithheldRun

__all__: list[str] = []

PANEL = "Releases and records"  # heading in the help
OfPartition = Annotated[
    str | None, typer.Option("--partition", help="Partition; by default the newest that has the key.")
]


@app.command(rich_help_panel=PANEL)
def history(model: Model, as_json: AsJson = False) -> None:
    """Show which release was live when, who approved it, and why."""
    from tidemill.warehouse.predictions.publisher import Publisher
    from tidemill.warehouse.predictions.withholding import Withholding
    from tidemill.warehouse.releases.registry import Releases
    from tidemill.workspace import LEDGER

    workspace = Workspace.from_environment()
    deployments = Releases(workspace.connection(LEDGER)).deployments(model)
    published = Publisher(workspace.connection(LEDGER)).published(model)
    if not deployments and not published:
        workspace.spec(model)  # fails for an unknown model
    rows = [
        {
            "live_from": item.live_from,
            "release": item.release_id,
            "was": item.previous_release_id,
            "what": item.kind,
            "by": item.approved_by,
            "why": item.reason,
            "recorded": item.deployed_at,
        }
        for item in deployments
    ]
    show(rows, as_json=as_json, empty=f"No release of {model} has ever been live.")
    if not as_json:
        _print_published(published, Withholding(workspace.connection(LEDGER)).runs(model))


def _print_published(published: "Sequence[PublishedRun]", withheld: "Sequence[WithheldRun]") -> None:
    """Print how many partitions are published, and which rows are withheld, beside the rows: not where a pipe takes them."""
    notes = out if out.is_terminal else err
    lacking = [run for run in published if run.n_set_aside]
    empty = [run.partition for run in published if not run.n_rows]
    if published:
        notes.print(f"{len(published):,} partitions are published, the newest is {published[-1].partition}.")
    if empty:
        notes.print(f"{len(empty):,} of them had no rows and are published as empty, the newest {empty[-1]}.")
    if lacking:
        newest = f"{lacking[-1].n_set_aside:,} of partition {lacking[-1].partition}"
        notes.print(f"Rows of {len(lacking):,} of them are set aside, the newest {newest}; see tidemill.quarantine.")
    for run in withheld:
        text = f"New rows of partition {run.partition} are withheld since {run.since:%Y-%m-%d %H:%M}: {run.reasons[0]}"
        notes.print(text, highlight=False, soft_wrap=True)


@app.command(rich_help_panel=PANEL)
def releases(model: Model, as_json: AsJson = False) -> None:
    """List a model's releases, newest first, those that were refused too, with the gate's reasons."""
    from tidemill.warehouse.releases.listing import list_releases
    from tidemill.workspace import LEDGER

    workspace = Workspace.from_environment()
    found = list_releases(workspace.connection(LEDGER), model)
    if not found:
        workspace.spec(model)  # fails for an unknown model
    rows = [
        {
            "release": item.release_id,
            "partition": item.partition,
            "estimator": item.estimator,
            "metric": item.metric,
            "value": item.metric_value if as_json else f"{item.metric_value:.4f}",
            "verdict": item.verdict,
            "live": item.live,
            "why": list(item.reasons) if as_json else " ".join(item.reasons),
        }
        for item in found
    ]
    show(rows, as_json=as_json, empty=f"{model} has no release yet. Train one: tidemill train {model} --partition …")


@app.command(rich_help_panel=PANEL)
def trace(
    model: Model,
    entity: Annotated[str, typer.Argument(help="Entity key of the row.")],
    partition: OfPartition = None,
    as_json: AsJson = False,
) -> None:
    """Show everything behind one published prediction: data, query, code, packages, release, evidence, approver."""
    from tidemill.warehouse.predictions.trace import trace as trace_row
    from tidemill.workspace import LEDGER

    found = trace_row(Workspace.from_environment().connection(LEDGER), model, entity, partition)
    if as_json:
        print_json(found)
        return
    show(
        [
            {"what": name.replace("_", " "), "value": "not on record" if value is None else value}
            for name, value in found.items()
        ],
        as_json=False,
    )


@app.command(rich_help_panel=PANEL)
def explain(
    model: Model,
    entity: Annotated[str, typer.Argument(help="Entity key of the row.")],
    partition: OfPartition = None,
    as_json: AsJson = False,
) -> None:
    """Show why one published row got its score: raw value, encoding and contribution of each feature, and their sum."""
    from tidemill.operations.explain import explain_row

    workspace = Workspace.from_environment()
    row = explain_row(workspace, workspace.spec(model), entity, partition)
    if as_json:
        print_json(asdict(row))
        return
    show([_explained(part) for part in row.parts], as_json=False)
    out.print(f"partition: {row.partition}", highlight=False, soft_wrap=True)
    for name, value in row.answer.items():
        out.print(f"published {name.replace('_', ' ')}: {value}", highlight=False, soft_wrap=True)
    out.print(
        f"{row.base:.6f} before any feature {row.total - row.base:+.6f} from the features = {row.total:.6f} {row.scale}"
        f" ({row.method}).\nScore {row.score!r} of release {row.release_id}: equal to the published one.",
        highlight=False,
        soft_wrap=True,
    )


def _explained(part: "FeaturePart") -> dict[str, str]:
    """Return one feature's cells: raw, as the model reads it, and its contribution."""
    read = ", ".join(
        f"{value:.6g}" if name == part.feature else f"{name} {value:.6g}" for name, value in part.encoded.items()
    )
    raw = "missing" if part.raw is None else str(part.raw)
    return {
        "feature": part.feature,
        "raw": raw,
        "as_the_model_reads_it": read,
        "contribution": f"{part.contribution:+.6f}",
    }


@app.command(rich_help_panel=PANEL)
def dismiss(
    model: Model,
    partition: PartitionKey,
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    by: Annotated[str | None, typer.Option(help="Who does it; by default the user of this shell.")] = None,
) -> None:
    """Dismiss the failures of a partition that are still open."""
    from tidemill.operations.dismiss import dismiss_failures

    workspace = Workspace.from_environment()
    found = dismiss_failures(workspace, model, partition, dismissed_by=by or getpass.getuser(), reason=reason)
    for item in found:
        out.print(f"Dismissed: {item.step} of the chain '{item.chain}', partition {item.partition}.", highlight=False)


@app.command(rich_help_panel=PANEL)
def promote(
    model: Model,
    release: Annotated[int, typer.Argument(help="Release to promote.")],
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    by: Annotated[str | None, typer.Option(help="Who does it; by default the user of this shell.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Override the gate's verdict.")] = False,
) -> None:
    """Promote a release manually."""
    from tidemill.operations.rollback import promote_by_hand

    workspace = Workspace.from_environment()
    promote_by_hand(
        workspace.spec(model), workspace, release, force=force, approved_by=by or getpass.getuser(), reason=reason
    )
    out.print(f"Release {release} of {model} is the champion.")


@app.command(rich_help_panel=PANEL)
def publish(
    model: Model,
    partition: Annotated[str, typer.Argument(help="Partition whose withheld rows are right.")],
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    by: Annotated[str | None, typer.Option(help="Who does it; by default the user of this shell.")] = None,
) -> None:
    """Publish the withheld rows of a partition."""
    _resolve(model, partition, by=by, reason=reason, publishes=True)
    out.print(f"The withheld rows of partition {partition} of {model} are published.")


@app.command(rich_help_panel=PANEL)
def discard(
    model: Model,
    partition: Annotated[str, typer.Argument(help="Partition whose withheld rows are wrong.")],
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    by: Annotated[str | None, typer.Option(help="Who does it; by default the user of this shell.")] = None,
) -> None:
    """Discard the withheld rows of a partition; readers keep its earlier rows, if there are any."""
    _resolve(model, partition, by=by, reason=reason, publishes=False)
    out.print(f"The withheld rows of partition {partition} of {model} are discarded.")


def _resolve(model: str, partition: str, *, by: str | None, reason: str, publishes: bool) -> None:
    from tidemill.steps.predict.resolution import Resolution, find_withheld, resolve_withheld

    workspace = Workspace.from_environment()
    spec = workspace.spec(model)
    run = find_withheld(workspace, spec, partition)
    said = Resolution(publish=publishes, by=by or getpass.getuser(), reason=reason)
    resolve_withheld(workspace, spec, run, said)


@app.command(rich_help_panel=PANEL)
def rollback(
    model: Model,
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    to: Annotated[int | None, typer.Option(help="Release to restore; by default the previous champion.")] = None,
    republish: Annotated[str | None, typer.Option(help="Partitions to restore, <from>..<to>.")] = None,
    by: Annotated[str | None, typer.Option(help="Who does it; by default the user of this shell.")] = None,
) -> None:
    """Make an earlier champion the champion again; --republish also restores earlier predictions."""
    from tidemill.operations.rollback import roll_back

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
    if done.withheld:
        out.print(
            f"Still showing rows of undone releases, since the new ones are withheld: {', '.join(done.withheld)}."
            f" See 'tidemill history {model}'.",
            highlight=False,
            soft_wrap=True,
        )


@app.command(rich_help_panel=PANEL)
def reproduce(
    model: Model,
    release: Annotated[int | None, typer.Option(help="Release to rebuild; by default the champion.")] = None,
    run: Annotated[int | None, typer.Option(help="Prediction run to score again; its release is rebuilt.")] = None,
    partition: Annotated[
        str | None, typer.Option(help="Rebuild the release that the weekly DAG picks for this partition.")
    ] = None,
    as_declared: Annotated[bool, typer.Option("--as-declared", help="Use today's spec and queries.")] = False,
) -> None:
    """Rebuild a release, and report per step whether it is bit-identical; exit status 1 if not."""
    from tidemill.operations.reproduce import partition_of
    from tidemill.runtime.run import run_step
    from tidemill.warehouse.releases.registry import Releases
    from tidemill.warehouse.releases.resolution import current_release
    from tidemill.workspace import LEDGER

    if sum(item is not None for item in (release, run, partition)) > 1:
        raise typer.BadParameter("give one of --release, --run and --partition")
    workspace = Workspace.from_environment()
    spec = workspace.spec(model)
    if release is None and run is None and partition is None:
        release = current_release(Releases(workspace.connection(LEDGER)), spec.model)
    with err.status("building it again …"):
        record = run_step(
            "reproduce",
            "reproduce",
            spec.model,
            partition or partition_of(workspace, spec.model, release, run),
            {"release": release, "prediction_run": run, "as_declared": as_declared},
            workspace=workspace,
        )
    table = Table("step", "verdict", Column("found", overflow="fold"))
    for step in record["steps"]:
        table.add_row(*(str(step[name]).replace("_", " ") for name in ("step", "verdict")), step["found"])
    out.print(table)
    for change in record["changes"]:
        out.print(f"Since then: {change}.", highlight=False, soft_wrap=True)
    rows = f", prediction run {run}," if run is not None else ""
    out.print(f"Release {record['release_id']} of {model}{rows} is {record['verdict'].replace('_', ' ')}.")
    if record["verdict"] == "different":
        raise typer.Exit(1)
