"""Commands that run the steps of a model: check, train, predict, monitor, retrain."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.text import Text

from tidemill.cli.console import AsJson, Cutoff, DryRun, Model, PartitionKey, app, err, out, print_json
from tidemill.workspace import Workspace

if TYPE_CHECKING:
    from tidemill.spec import ModelSpec

__all__: list[str] = []

PANEL = "Models"  # heading in the help


@app.command(rich_help_panel=PANEL)
def check(
    models: Annotated[list[str] | None, typer.Argument(help="Models to check; all by default.")] = None,
    source: Annotated[bool, typer.Option(help="Also check tables and columns in the source.")] = True,
    as_json: AsJson = False,
) -> None:
    """Report every problem of the specs, contracts and queries, with file and line."""
    from tidemill.checking import check_models, waiting_models
    from tidemill.hints import cutoff_hints
    from tidemill.spec_file import spec_paths

    workspace = Workspace.from_environment(reads_only=True)
    waiting = waiting_models(workspace) if source and not models else {}
    names = models or [path.stem for path in spec_paths(workspace.models) if path.stem not in waiting]
    problems = check_models(workspace, list(waiting), source=False) if waiting else []
    hints = [
        f"{model} waits for its data, and only its spec was checked: {missing} 'tidemill load' loads the examples' tables."
        for model, missing in waiting.items()
    ]
    if names or not waiting:
        problems += check_models(workspace, names, source=source)
        hints += [] if problems else cutoff_hints(workspace, names, source=source)
    if as_json:
        print_json({"problems": problems, "hints": hints})
    for said in () if as_json else (*problems, *(f"Hint: {hint}" for hint in hints)):
        err.print(said, highlight=False, soft_wrap=True)
    if problems:
        err.print(f"{len(problems)} problem(s).")
        raise typer.Exit(1)
    if not as_json:
        out.print("Specs, contracts and queries are in order.")


@app.command(rich_help_panel=PANEL)
def schema() -> None:
    """Print the JSON Schema of the spec, for editors."""
    from tidemill.spec.schema import json_schema

    print(json.dumps(json_schema(), indent=2))  # noqa: T201 - a file's content, without colours or wrapping


@app.command(rich_help_panel=PANEL)
def train(
    model: Model,
    partition: PartitionKey,
    trials: Annotated[
        int | None, typer.Option(min=0, max=1000, help="Hyperparameter settings to try per candidate.")
    ] = None,
    cutoff: Cutoff = None,
    dry_run: DryRun = False,
    reason: str = "",
) -> None:
    """Train a challenger as of a partition, and let the gate decide."""
    from tidemill.runtime.chains import train_chain

    workspace = Workspace.from_environment()
    spec = workspace.spec(model)
    chain = train_chain(spec, dry_run=dry_run, reason=reason, trials=trials)
    at_once = _searches_at_once(spec, trials)
    record = _drive("train", chain, model, partition, workspace, cutoff=_in_utc(cutoff), at_once=at_once)
    _say_decision(record["decision"])
    release = record["release_id"]
    if record["in_shadow"]:
        _say(f"Release {release} scores in the shadow of the champion: tidemill releases {model}")
    elif record["waiting"]:
        _say(f"Release {release} is waiting for approval: tidemill promote {model} {release} --reason …")
    elif release and not record["promoted"]:
        _say(
            f"Release {release} is kept, but was not promoted. To let it serve all the same: tidemill promote {model} {release}"
            " --force --reason …"
        )


@app.command(rich_help_panel=PANEL)
def predict(
    model: Model,
    partition: Annotated[str | None, typer.Option(help="One partition, such as 2013-07-01.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First of many partitions.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last of many partitions, included.")] = None,
    policy: Annotated[str, typer.Option(help="live_then, current or release=<id>.")] = "live_then",
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Allow a release trained on data from after the partition's cutoff.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Also score what the release has already published.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Score a partition even if predict.ready says no.")] = False,
    quarantined: Annotated[
        bool, typer.Option("--quarantined", help="Only score published partitions again that have rows set aside.")
    ] = False,
    cutoff: Cutoff = None,
    dry_run: DryRun = False,
) -> None:
    """Score a partition, or many, and publish the rows."""
    from tidemill.operations.backfill import Policy
    from tidemill.operations.prediction import predict_partition
    from tidemill.runtime.chains import predict_chain
    from tidemill.warehouse.connections import kept_open

    chosen, workspace = Policy.parse(policy), Workspace.from_environment()
    if quarantined and first is None and last is None:
        first, last, partition = partition, partition, None
    both, many = first is not None and last is not None, first is not None or last is not None
    if many == (partition is not None) or (many and (not both or dry_run or cutoff)):
        raise typer.BadParameter("give --partition, or --from and --to without --dry-run and --cutoff")
    with kept_open():  # a login takes a third of the time that a day's rows take
        _say_if_incomplete(workspace, model, partition or last or "")
        if first is not None and last is not None:
            _backfill(
                workspace,
                model,
                first,
                last,
                replace(chosen, simulate=simulate, again=again, force=force, quarantined=quarantined),
            )
            return
        assert partition is not None
        if not force:
            _refuse_unready(workspace, model, partition)
        release = _chosen_release(workspace, model, chosen)
        chain = predict_chain(release=release, simulate=simulate, dry_run=dry_run)
        with _progress(workspace, model, "predict") as on_step:
            done = predict_partition(chain, model, partition, workspace, cutoff=_in_utc(cutoff), on_step=on_step)
        ends_well = _say_outcome(workspace, model, partition, done)
        if release is None and not (dry_run or simulate or cutoff):
            ends_well &= _look_back(workspace, model, partition)
    if not ends_well:
        raise typer.Exit(1)


@app.command(rich_help_panel=PANEL)
def monitor(
    model: Model,
    partition: Annotated[str | None, typer.Option(help="One partition, such as 2013-07-01.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First of many partitions.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last of many partitions, included.")] = None,
) -> None:
    """Monitor a partition, or many in order: drift, matured quality, cost, alerts."""
    from tidemill.runtime.chains import monitor_chain
    from tidemill.runtime.run import run_step

    many = first is not None or last is not None
    if many == (partition is not None) or (first is None) != (last is None):
        raise typer.BadParameter("give --partition, or --from and --to")
    workspace = Workspace.from_environment()
    if partition is not None:
        keys = [partition]
    else:
        keys = [item.key for item in workspace.spec(model).partitions_between(str(first), str(last))]
    for number, key in enumerate(keys, 1):
        if len(keys) > 1:
            err.print(f"{key} ({number} of {len(keys)})", highlight=False)
        page = _drive("monitor", monitor_chain(workspace.spec(model)), model, key, workspace, until="report")
        out.print(f"The page is {workspace.page(page['uri'])}.", soft_wrap=True)
        run_step("monitor", "notify", model, key, {}, workspace=workspace)


@app.command(rich_help_panel=PANEL)
def retrain(model: Model, partition: PartitionKey, dry_run: DryRun = False) -> None:
    """Decide whether a new challenger is due, and train it if so."""
    from tidemill.runtime.chains import retrain_chain

    workspace = Workspace.from_environment()
    record = _drive("retrain", retrain_chain(workspace.spec(model), dry_run=dry_run), model, partition, workspace)
    for reason in record["reasons"]:
        _say(f"  {reason}")


@app.command(rich_help_panel=PANEL)
def run(
    model: Model,
    step: Annotated[str, typer.Option(help="Step to stop after, such as extract or evaluate.")],
    partition: PartitionKey,
    chain: Annotated[Literal["train", "predict", "monitor", "retrain"], typer.Option(help="Chain to run.")] = "train",
    cutoff: Cutoff = None,
) -> None:
    """Run a chain up to a step, and print that step's record as JSON."""
    from tidemill.runtime.chains import monitor_chain, predict_chain, retrain_chain, train_chain

    workspace = Workspace.from_environment()
    spec = workspace.spec(model)
    chains: dict[str, Callable[[], Any]] = {
        "train": lambda: train_chain(spec, dry_run=True),
        "predict": lambda: predict_chain(dry_run=True),
        "monitor": lambda: monitor_chain(spec),
        "retrain": lambda: retrain_chain(spec, dry_run=True),
    }
    record = _drive(chain, chains[chain](), model, partition, workspace, cutoff=_in_utc(cutoff), until=step)
    print(json.dumps(record, indent=2))  # noqa: T201 - for other programs, without colours or wrapping


def _searches_at_once(spec: "ModelSpec", trials: int | None) -> int:
    """Return how many candidates are searched in parallel; without a search, starting a process takes longer than a fit."""
    from tidemill.runtime.limits import usable_cores

    searching = spec.train.search.trials if trials is None else trials
    return min(max(1, usable_cores() // spec.train.threads), len(spec.train.estimators)) if searching else 1


def _drive(name: str, chain: Any, model: str, partition: str, workspace: Workspace, **options: Any) -> dict[str, Any]:
    from tidemill.runtime.chains import drive

    with _progress(workspace, model, name) as on_step:
        return drive(name, chain, model, partition, workspace, on_step=on_step, **options)


def _in_utc(cutoff: datetime | None) -> datetime | None:
    """Return a cutoff with a time zone: UTC if the option has none."""
    return cutoff if cutoff is None or cutoff.tzinfo else cutoff.replace(tzinfo=UTC)


@contextmanager
def _progress(workspace: Workspace, model: str, chain: str) -> Iterator[Callable[[str, dict[str, Any] | None], None]]:
    """Show the running step on standard error, so that standard output stays clean."""
    from tidemill.cli.progress import running, usual_duration

    with running(usual_duration(workspace, model, chain) if err.is_terminal else None) as show:

        def on_step(step: str, record: dict[str, Any] | None) -> None:
            if record is None:
                show(step)
            else:
                err.print(Text.assemble(("✓", "green"), f" {step} {record.get('estimator', '')}"))
                for sentence in _said_of_search(record):
                    err.print(f"  {sentence}", highlight=False, soft_wrap=True)

        yield on_step


def _said_of_search(record: dict[str, Any]) -> tuple[str, ...]:
    """Return the gain of a search: on its folds after the search, and on the test set once it is known."""
    if not record.get("search") and not record.get("search_gain"):
        return ()
    from tidemill.records import MetricValue, SearchReport
    from tidemill.report.search import gain_on_test, search_sentences

    if record.get("search"):
        return search_sentences(SearchReport.from_dict(record["search"]))
    return (gain_on_test(MetricValue.from_dict(record["search_gain"])),)


def _say_if_incomplete(workspace: Workspace, model: str, key: str) -> None:
    from tidemill.operations.completeness import incomplete

    if said := incomplete(workspace, workspace.spec(model), key):
        err.print(said, highlight=False, soft_wrap=True)


def _refuse_unready(workspace: Workspace, model: str, partition: str) -> None:
    from tidemill.steps.monitor.await_ready import refuse_unready

    spec = workspace.spec(model)
    refuse_unready(workspace, spec, spec.asked(partition))


def _chosen_release(workspace: Workspace, model: str, policy: Any) -> int | None:
    from tidemill.operations.backfill import release_of
    from tidemill.warehouse.releases.registry import Releases
    from tidemill.workspace import LEDGER

    return release_of(model, Releases(workspace.connection(LEDGER)), policy)


def _backfill(workspace: Workspace, model: str, first: str, last: str, policy: Any) -> None:
    from tidemill.cli.progress import bars
    from tidemill.operations.backfill import backfill

    with bars() as on_progress:
        result = backfill(
            workspace.spec(model),
            first,
            last,
            workspace,
            policy=policy,
            on_partition=lambda key, done, total: on_progress(model, done, total),
        )
    out.print(
        f"{len(result.scored)} scored, {len(result.present)} were already published, {len(result.failed)} failed."
    )
    if result.empty:
        out.print(f"Of those scored, {len(result.empty)} had no rows and are published as empty.")
    if result.n_set_aside:
        out.print(f"{result.n_set_aside:,} of their rows are set aside; see tidemill.quarantine.")
    if result.withheld:
        out.print(
            f"{len(result.withheld)} are withheld, and readers do not see them: {', '.join(result.withheld)}."
            f" See 'tidemill history {model}', then 'tidemill publish' or 'tidemill discard' each.",
            highlight=False,
            soft_wrap=True,
        )
    for key, message in result.failed:
        err.print(f"{key}: {message}", highlight=False, soft_wrap=True)
    if result.failed or result.withheld:
        raise typer.Exit(1)


def _say_outcome(workspace: Workspace, model: str, partition: str, done: Any) -> bool:
    """Print what has become of a partition; return False if its rows are withheld."""
    if not done.overtaken and done.rows.withheld:
        _say_withheld(workspace, model, partition)
        return False
    _say_prediction(partition, done)
    return True


def _look_back(workspace: Workspace, model: str, partition: str) -> bool:
    """Score changed partitions again if the spec looks back; return False if one has failed or is withheld."""
    from tidemill.errors import FatalError
    from tidemill.operations.look_back import predict_changed

    spec, ends_well = workspace.spec(model), [True]
    if spec.predict.lookback is None:
        return True

    def on_change(changed: Any, outcome: Any) -> None:
        out.print(f"Partition {changed.partition} was read again: {changed.found}", highlight=False, soft_wrap=True)
        if isinstance(outcome, FatalError):
            err.print(f"{changed.partition}: {outcome}", highlight=False, soft_wrap=True)
            ends_well.append(False)
        else:
            ends_well.append(_say_outcome(workspace, model, changed.partition, outcome))

    predict_changed(workspace, spec, partition, on_change)
    return all(ends_well)


def _say_prediction(partition: str, done: Any) -> None:
    """Print what has become of a partition."""
    rows = done.rows
    if done.overtaken:
        out.print(
            f"Partition {partition} was published meanwhile by an equal run, prediction run {rows.prediction_run_id}:"
            " the same release scored the same rows. Nothing is left to do.",
            soft_wrap=True,
        )
        return
    verb = "published" if rows.published else "written, not published"
    if rows.n_rows:
        mean = f", mean score {rows.mean_score:.4f}"
        out.print(f"{rows.n_rows:,} rows of release {rows.release_id} {verb}{mean}.")
        if rows.n_set_aside:
            out.print(f"{rows.n_set_aside:,} rows are set aside; see tidemill.quarantine.")
    else:
        out.print(f"Partition {partition} has no rows: it is {verb} as empty.")


def _say_withheld(workspace: Workspace, model: str, partition: str) -> None:
    """Report why the rows of a partition are withheld, and send the message about them."""
    from tidemill.errors import ChannelUnavailable
    from tidemill.runtime.run import run_step
    from tidemill.steps.predict.resolution import find_withheld

    run = find_withheld(workspace, workspace.spec(model), partition)
    out.print(f"{run.n_rows:,} rows of release {run.release_id} are withheld; readers do not see them.")
    for reason in run.reasons:
        _say(f"  {reason}")
    _say(
        f"If they are right: tidemill publish {model} {partition} --reason …; if not: tidemill discard {model} {partition}"
        " --reason …"
    )
    try:
        run_step("monitor", "notify", model, partition, {}, workspace=workspace)
    except ChannelUnavailable as error:
        err.print(str(error), highlight=False, soft_wrap=True)


def _say(line: str) -> None:
    """Print a line as it is, such as one with a command."""
    out.print(line, highlight=False, soft_wrap=True)


def _say_decision(decision: dict[str, Any]) -> None:
    accepted = decision["verdict"] == "accept"
    verdict = decision["verdict"].replace("_", " ")
    out.print(Text.assemble(("Accepted" if accepted else "Not accepted", "bold"), f": {verdict}"))
    for reason in decision["reasons"]:
        _say(f"  {reason}")
