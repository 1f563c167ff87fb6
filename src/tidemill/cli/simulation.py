"""The command that lives a model's past again."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from tidemill.cli.console import HOME, Model, app, err, out
from tidemill.workspace import Workspace

__all__: list[str] = []


@app.command()
def simulate(
    model: Model,
    first: Annotated[str, typer.Option("--from", help="First partition; the first model is trained as of it.")],
    last: Annotated[str, typer.Option("--to", help="Last partition, included.")],
    policy: Annotated[
        list[str] | None, typer.Option(help="never, weekly or spec; may be repeated. All by default.")
    ] = None,
    inject: Annotated[
        list[str] | None, typer.Option(help="A fault, such as null:temp@2013-06-10; may be repeated.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Folder for the page and the figures.")] = None,
) -> None:
    """Live a past again day by day, and see what retraining is worth; the real ledger is not touched."""
    from tidemill.report.simulation import PolicyFacts, simulation_page
    from tidemill.simulation import SOURCE, Injection, Outcome, Policy, simulate

    unknown = sorted(set(policy or ()) - {item.value for item in Policy})
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is not one of {', '.join(Policy)}", param_hint="--policy")
    workspace = Workspace.from_environment(reads_only=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err) as progress:
        chosen = [Policy(name) for name in policy or Policy]
        bars: dict[str, TaskID] = {
            what: progress.add_task(what, total=None) for what in (SOURCE, *(item.value for item in chosen))
        }

        def on_progress(what: str, done: int, total: int) -> None:
            progress.update(bars[what], completed=done, total=total)

        done = simulate(
            workspace.spec(model), first, last, workspace,
            policies=chosen,
            injections=[Injection.parse(words) for words in inject or ()], on_progress=on_progress,
        )  # fmt: skip

    def facts(outcome: Outcome) -> PolicyFacts:
        return PolicyFacts(
            name=outcome.policy.value, quality=outcome.quality,
            trained=[(item.partition, item.verdict, item.reason, item.promoted) for item in outcome.trained],
            alerts=[
                (item.rule, item.severity, item.first_partition, item.last_partition, item.message)
                for item in outcome.alerts
            ],
            stopped=[(item.partition, item.chain, item.error) for item in outcome.stopped],
        )  # fmt: skip

    policies = [facts(outcome) for outcome in done.outcomes]
    folder = report or HOME / "simulations" / f"{model}-{first}-{last}"
    folder.mkdir(parents=True, exist_ok=True)
    page = simulation_page(
        model, first, last, metric=done.metric, policies=policies, gains=done.gains, injections=done.injections
    )
    (folder / "index.html").write_text(page, encoding="utf-8")
    (folder / "simulation.json").write_text(json.dumps(done.to_dict(), indent=2), encoding="utf-8")
    table = Table("policy", Column(f"mean {done.metric}", justify="right"), "trainings", "served", "alerts", "stopped")
    for item in policies:
        counts = (len(item.trained), item.n_promoted, len(item.alerts), len(item.stopped))
        table.add_row(item.name, f"{item.mean_quality:.4f}", *map(str, counts))
    out.print(table)
    for figure in done.gains:
        interval = "" if figure.low is None else f" ({figure.low:+.4f} to {figure.high:+.4f})"
        out.print(f"{figure.slice}: {figure.value:+.4f} {figure.name} a partition{interval}.", highlight=False)
    out.print(f"The page is {folder / 'index.html'}.", soft_wrap=True)
