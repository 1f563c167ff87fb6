"""Commands that lead from a file or a table to a model: load, init."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidemill.cli.console import app, err, out, table_of
from tidemill.workspace import Workspace, connection_from_environment

if TYPE_CHECKING:
    from tidemill.onboarding.draft import Draft
    from tidemill.onboarding.profile import Profile

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
    from tidemill.cli.progress import bars
    from tidemill.onboarding.loading import load_file
    from tidemill.onboarding.names import TableName

    name = TableName.parse(table)
    with bars() as show:
        show("reading", 0, 1)

        def on_rows(done: int, total: int) -> None:
            show("reading", 1, 1)
            show("loading", done, total)

        owner = connection_from_environment("tidemill_owner")
        loaded = load_file(owner, file, name, replace=replace, on_rows=on_rows)
    shown = table_of("column", "type")
    for column, sql_type in loaded.columns.items():
        shown.add_row(column, sql_type)
    out.print(shown)
    for note in loaded.notes:
        err.print(f"Note: {note}", highlight=False, soft_wrap=True)
    out.print(f"Loaded {loaded.n_rows:,} rows into {name}.", highlight=False, soft_wrap=True)
    out.print(f"Next: tidemill init --table '{name}' --label COLUMN", highlight=False, soft_wrap=True)


@app.command(rich_help_panel=PANEL)
def init(
    table: Annotated[str | None, typer.Option(help="Table with its schema, such as shop.orders.")] = None,
    label: Annotated[str | None, typer.Option(help="Column to predict.")] = None,
    model: Annotated[str | None, typer.Option(help="Name of the model; from table and label by default.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="Column that identifies a row; repeat it for several.")] = None,
    time: Annotated[
        str | None, typer.Option(help="Column with the time of the event; none for rows without one.")
    ] = None,
    label_time: Annotated[
        str | None, typer.Option(help="Column with the time at which the label became known.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="binary, multiclass or regression.")] = None,
    positive: Annotated[str | None, typer.Option(help="Value that counts as the positive class.")] = None,
    every: Annotated[str | None, typer.Option(help="Length of a partition: day, week or month.")] = None,
    timezone: Annotated[str, typer.Option(help="Zone of the model and of times without one.")] = "UTC",
    example: Annotated[
        str | None, typer.Option(help="Instead of a table: flights, orders, demand or panel, with its data.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Never ask; take every guess.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the model's files.")] = False,
) -> None:
    """Draft a model from a table: write its spec and queries, and check them. In a terminal, ask for what is missing."""
    from tidemill.onboarding.draft import Answers, draft_model, newest_partition
    from tidemill.onboarding.names import TableName
    from tidemill.onboarding.profile import open_table
    from tidemill.onboarding.writing import write_files

    workspace, asks = Workspace.from_environment(reads_only=True), not yes and sys.stdin.isatty()
    if example is not None:
        _init_example(example, workspace, force=force)
        return
    url = workspace.connection("warehouse")
    with open_table(url, TableName.parse(table or _table(url, asks=asks))) as reader:
        profile = reader.profile()
        answers = Answers(
            label=_label(profile, label, asks=asks),
            model=model,
            key=tuple(key or ()),
            time=_time(profile, asks=asks) if time is None else time,
            label_time=label_time,
            task=task,
            positive=positive,
            every=every,
            timezone=timezone,
        )
        draft = draft_model(reader, profile, answers)
    for path in write_files(draft, workspace, force=force):
        out.print(f"Wrote {path}", highlight=False, soft_wrap=True)
    _say_draft(draft)
    _check_and_go_on(workspace, draft.model, newest_partition(draft, datetime.now(UTC)))


def _init_example(name: str, workspace: Workspace, *, force: bool) -> None:
    """Load an example's data, and copy its files."""
    from tidemill_examples.models import copy_files, find_example

    example = find_example(name)
    with err.status("loading the example's data …"):
        example.load(connection_from_environment("tidemill_owner"))
    for path in copy_files(example, workspace, force=force):
        out.print(f"Wrote {path}", highlight=False, soft_wrap=True)
    _check_and_go_on(workspace, example.model, example.partition)


def _check_and_go_on(workspace: Workspace, model: str, partition: str) -> None:
    """Check a model, and print the next commands."""
    from tidemill.checking import check_models

    problems = check_models(workspace, [model], source=True)
    for problem in problems:
        err.print(problem, highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)
    out.print("The check is green. Read the files, then:")
    for verb in ("try", "train", "predict"):
        out.print(f"  tidemill {verb} {model} --partition {partition}", highlight=False, soft_wrap=True)


def _table(url: str, *, asks: bool) -> str:
    """Ask for the table, among those that the reader may read."""
    from tidemill.onboarding.profile import list_tables

    tables = list_tables(url)
    if not asks:
        there = ", ".join(tables) or "none: load a file with 'tidemill load FILE schema.table'"
        raise typer.BadParameter(f"say which table to draft a model from; there are {there}", param_hint="--table")
    for name in tables:
        out.print(f"  {name}", highlight=False, soft_wrap=True)
    return str(typer.prompt("Which table has the rows?", default=tables[0] if len(tables) == 1 else None))


def _time(profile: "Profile", *, asks: bool) -> str | None:
    """Ask for the time of the event, if several columns could have it."""
    from tidemill.onboarding.event_time import guess_times
    from tidemill.spec import NO_TIME

    if not asks or len(profile.times) < 2:
        return None
    guesses = guess_times(profile, None)
    listed = ", ".join(profile.times)
    question = f"Which column has the time of the event ({listed}, or {NO_TIME})?"
    return str(typer.prompt(question, default=guesses[0].name if guesses else NO_TIME))


def _label(profile: "Profile", asked: str | None, *, asks: bool) -> str:
    from tidemill.onboarding.target import guess_label

    label = asked or guess_label(profile)
    if label is None or (asks and asked is None):
        if not asks:
            names = ", ".join(column.name for column in profile.columns)
            raise typer.BadParameter(f"say which column to predict; there are {names}", param_hint="--label")
        return str(typer.prompt("Which column should be predicted?", default=label))
    return label


def _say_draft(draft: "Draft") -> None:
    target, timing = draft.target, draft.timing
    every = f"{timing.calendar.every} by {timing.calendar.every}" if timing else "all rows at once"
    time = (
        f"Time of the event: {timing.clock.column.name}."
        if timing
        else f"No time of the event: {draft.why_no_time}. A hash of the key divides the rows, so nobody can know how the "
        "model fares on later ones."
    )
    for line in (
        f"Predicts {target.name} ({target.task}; {target.why}), {every}.",
        f"Key: {', '.join(draft.key.columns) or 'the content of a row'} ({draft.key.why}).",
        time,
        f"Features: {len(draft.selected.features)}, and from the time: {len(draft.calendar_features)}.",
        f"So strong that they may know the outcome: {', '.join(draft.selected.strong) or 'none'}.",
        *draft.selected.notes,
        f"Left out: {', '.join(draft.selected.left_out) or 'nothing'}; the features query says why.",
        *_dropped_times(draft),
    ):
        out.print(line, highlight=False, soft_wrap=True)


def _dropped_times(draft: "Draft") -> list[str]:
    """Return a sentence for each date or time that is not used as a feature."""
    left_out = draft.selected.left_out
    return [f"{name} is not used: {left_out[name]}." for name in draft.profile.times if name in left_out]
