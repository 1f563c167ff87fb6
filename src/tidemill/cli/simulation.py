"""Commands that train, test or replay a model on its past, apart from what serves."""

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from tidemill.cli.console import HOME, Model, app, out, show
from tidemill.workspace import Workspace

if TYPE_CHECKING:
    from tidemill.records import MetricValue
    from tidemill.report.simulation import PolicyFacts
    from tidemill.simulation import Drill, Outcome, Simulation, Tried
    from tidemill.simulation.trial import Trial

__all__: list[str] = []

PANEL = "Trials on the past"  # heading in the help


class PolicyName(StrEnum):
    """The values of `tidemill.simulation.Policy`, whose import would slow every command down."""

    NEVER = "never"
    WEEKLY = "weekly"
    SPEC = "spec"


_First = Annotated[str, typer.Option("--from", help="First partition; the first model is trained as of it.")]
_Last = Annotated[str, typer.Option("--to", help="Last partition, included.")]
_Report = Annotated[Path | None, typer.Option(help="Folder for the page and the figures.")]


@app.command("try", rich_help_panel=PANEL)
def try_(
    model: Model,
    partition: Annotated[
        str | None, typer.Option(help="Partition as of which to train; by default the newest of the model.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1000, help="Size of the sample.")] = 50_000,
    report: Annotated[Path | None, typer.Option(help="Folder for the page.")] = None,
) -> None:
    """Train on a sample, and show figures, findings, cost and the gate's answer; the real ledger is not used."""
    from datetime import UTC, datetime

    from tidemill.cli.progress import running
    from tidemill.simulation import Past
    from tidemill.simulation.trial import newest_partition, try_model

    workspace = Workspace.from_environment(reads_only=True)
    spec = workspace.spec(model)
    key = spec.asked(partition).key if partition else newest_partition(spec, datetime.now(UTC)).key
    with running() as show:
        show("copying the source")
        done = try_model(
            Past(spec=spec, first=key, last=key, workspace=workspace),
            report or HOME / "trials" / model,
            n_rows=rows,
            on_step=lambda step, record: show(step),
        )
    _print_trial(done, spec.accept.minimum)
    if done.finding:
        raise typer.Exit(1)


def _print_trial(done: "Trial", minimum: float | None) -> None:
    """Print a trial: the verdict first, then figures with intervals, the floor, the cost and the page."""
    if done.finding:
        out.print(f"Stopped: {done.finding}", highlight=False, soft_wrap=True)
    if done.decision is not None:
        verdict = done.decision.verdict.value.replace("_", " ")
        out.print(f"On this sample, the gate's verdict would be: {verdict}.", highlight=False)
        for reason in done.decision.reasons:
            out.print(f"  {reason}", highlight=False, soft_wrap=True)
    if done.report is not None:
        figures = [("model", item) for item in done.report.metrics if item.slice is None]
        figures += [(f"against {item.slice}", item) for item in done.report.baselines]
        show([_figure(of, item) for of, item in figures], as_json=False)
    if done.floor is not None:
        declared = "has no" if minimum is None else f"has {minimum:g} as"
        out.print(f"The spec {declared} accept.minimum; {done.floor:.3f} is the worse end of the interval here.")
    cost = f"{done.n_sample:,} of {done.n_source:,} rows, {done.seconds:.0f} s, at most {done.peak_mb:,.0f} MB"
    out.print(f"{cost}, without a search; nothing was recorded.", highlight=False)
    if done.page is not None:
        out.print(f"Page: {done.page}", soft_wrap=True)


def _figure(of: str, item: "MetricValue") -> dict[str, str]:
    interval = "-" if item.low is None else f"{item.low:.4f} to {item.high:.4f}"
    return {"of": of, "metric": item.name, "value": f"{item.value:.4f}", "interval": interval}


@app.command("test", rich_help_panel=PANEL)
def run_tests(
    model: Model,
    partition: Annotated[
        str | None, typer.Option(help="Partition as of which to train; by default the newest of the model.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1000, help="Size of the sample.")] = 10_000,
    junit: Annotated[Path | None, typer.Option(help="File for the outcomes, as JUnit's XML.")] = None,
) -> None:
    """Test a model on a sample of its source, in a database of its own; exit status 1 if a test fails."""
    from datetime import UTC, datetime

    from tidemill.records import ModelTests
    from tidemill.runtime.run import run_step
    from tidemill.simulation.trial import newest_partition

    workspace = Workspace.from_environment()
    spec = workspace.spec(model)
    key = spec.asked(partition).key if partition else newest_partition(spec, datetime.now(UTC)).key
    inputs = {"rows": rows, "junit": str(junit or "")}
    if ModelTests.from_dict(run_step("test", "run_tests", model, key, inputs, workspace=workspace)).failed:
        raise typer.Exit(1)


@app.command(rich_help_panel=PANEL)
def simulate(
    model: Model,
    first: _First,
    last: _Last,
    policy: Annotated[
        list[PolicyName] | None,
        typer.Option(help="Policy to replay; may be repeated. All by default."),
    ] = None,
    inject: Annotated[
        list[str] | None, typer.Option(help="A fault, such as null:temp@2013-06-10; may be repeated.")
    ] = None,
    report: _Report = None,
) -> None:
    """Replay a past day by day, and compare retraining policies; the real ledger is not used."""
    from tidemill.cli.progress import bars
    from tidemill.simulation import Injection, Past, Policy
    from tidemill.simulation import simulate as run_simulation

    workspace = Workspace.from_environment(reads_only=True)
    with bars() as on_progress:
        done = run_simulation(
            Past(spec=workspace.spec(model), first=first, last=last, workspace=workspace),
            policies=[Policy(name) for name in policy or Policy],
            injections=[Injection.parse(words) for words in inject or ()],
            on_progress=on_progress,
        )
    policies = [_facts(outcome) for outcome in done.outcomes]
    folder = _folder(report, model, first, last)
    _write(folder, done, policies)
    table = Table("policy", Column(f"mean {done.metric}", justify="right"), "trainings", "served", "alerts", "stopped")
    for item in policies:
        counts = (len(item.trained), item.n_promoted, len(item.alerts), len(item.stopped))
        table.add_row(item.name, f"{item.mean_quality:.4f}", *map(str, counts))
    out.print(table)
    for figure in done.gains:
        interval = "" if figure.low is None else f" ({figure.low:+.4f} to {figure.high:+.4f})"
        out.print(f"{figure.slice}: {figure.value:+.4f} {figure.name} per partition{interval}.", highlight=False)
    out.print(f"Page: {folder / 'index.html'}", soft_wrap=True)


@app.command(rich_help_panel=PANEL)
def drill(
    model: Model,
    first: _First,
    last: _Last,
    on: Annotated[
        list[str] | None, typer.Option("--on", help="Partition in which to inject every fault; may be repeated.")
    ] = None,
    inject: Annotated[
        list[str] | None, typer.Option(help="Another fault, such as scale:temp*1.8@2013-06-10; may be repeated.")
    ] = None,
    report: _Report = None,
) -> None:
    """Inject faults into a past source, one at a time; exit status 1 if monitoring misses one."""
    from tidemill.cli.progress import bars
    from tidemill.simulation import Injection, Past
    from tidemill.simulation import drill as run_drill

    workspace = Workspace.from_environment(reads_only=True)
    with bars() as on_progress:
        done = run_drill(
            Past(spec=workspace.spec(model), first=first, last=last, workspace=workspace),
            on=on or (),
            faults=[Injection.parse(words) for words in inject or ()],
            on_progress=on_progress,
        )
    folder = _folder(report, model, first, last)
    (folder / "drill.json").write_text(json.dumps(done.to_dict(), indent=2), encoding="utf-8")
    _print(done)
    out.print(f"Figures: {folder / 'drill.json'}", soft_wrap=True)
    if done.missed:
        raise typer.Exit(1)


def _print(done: "Drill") -> None:
    table = Table(
        "fault", Column("rows", justify="right"), "detected on", "by the alert", "readers saw", "other alerts"
    )
    for item in done.tried:
        seen = item.seen_on or ("NOT DETECTED" if item.n_rows else "nothing to detect")
        also = ", ".join(item.also[:4])
        table.add_row(item.fault, f"{item.n_rows:,}", seen, item.alert or "-", _readers_saw(item), also)
    if done.tried:
        out.print(table)
        real = [item for item in done.tried if item.n_rows]
        on_first = sum(item.seen_on == item.fault.rpartition("@")[2] for item in real)
        text = f"{len(real) - len(done.missed)} of {len(real)} faults were detected, {on_first} of them on their first day."
        out.print(text, highlight=False)
        in_time = f"{len(done.in_time)} of {len(real)} were withheld or stopped before a reader could see a wrong row."
        out.print(in_time, highlight=False)
    for held in done.withheld:
        reasons = " ".join(held.reasons[: len(held.rules)])
        out.print(f"Withheld without a fault: {held.partition}. {reasons}", highlight=False, soft_wrap=True)
    rate = f"{len(done.withheld)} of {done.n_scored} scored partitions were withheld without a fault."
    out.print(rate, highlight=False)
    for alert in done.quiet:
        out.print(f"Without a fault: {alert.rule} from {alert.first_partition}.", highlight=False)
    rate = f"{len(done.quiet)} alerts in {done.n_partitions} partitions without a fault: {done.quiet_rate:.1f} per 60."
    out.print(rate, highlight=False)


def _readers_saw(item: "Tried") -> str:
    """Return what readers saw of a fault before it was detected."""
    if not item.n_rows:
        return "-"
    if item.before_readers:
        return "nothing"
    return "all of it" if item.partitions_seen is None else f"{item.partitions_seen} partition(s)"


def _folder(report: Path | None, model: str, first: str, last: str) -> Path:
    folder = report or HOME / "simulations" / f"{model}-{first}-{last}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write(folder: Path, done: "Simulation", policies: "Sequence[PolicyFacts]") -> None:
    from tidemill.report.simulation import simulation_page

    page = simulation_page(
        done.model,
        f"{done.first} to {done.last}",
        metric=done.metric,
        policies=policies,
        gains=done.gains,
        injections=done.injections,
    )
    (folder / "index.html").write_text(page, encoding="utf-8")
    (folder / "simulation.json").write_text(json.dumps(done.to_dict(), indent=2), encoding="utf-8")


def _facts(outcome: "Outcome") -> "PolicyFacts":
    from tidemill.report.simulation import PolicyFacts

    return PolicyFacts(
        name=outcome.policy.called,
        quality=outcome.quality,
        trained=[(item.partition, item.verdict, item.reason, item.promoted) for item in outcome.trained],
        alerts=[
            (item.rule, item.severity, item.first_partition, item.last_partition, item.message)
            for item in outcome.alerts
        ],
        stopped=[(item.partition, item.chain, item.error) for item in outcome.stopped],
    )
