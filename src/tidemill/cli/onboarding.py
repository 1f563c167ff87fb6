"""Commands that lead from a file or a table to a model: load, init."""

import sys
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
    out.print(f"Next: tidemill init --table '{name}' --label COLUMN", highlight=False, soft_wrap=True)


@app.command(rich_help_panel=PANEL)
def init(
    table: Annotated[str, typer.Option(help="Table with its schema, such as shop.orders.")],
    label: Annotated[str | None, typer.Option(help="Column to predict.")] = None,
    model: Annotated[str | None, typer.Option(help="Name of the model; from table and label by default.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="Column that identifies a row; repeat it for several.")] = None,
    time: Annotated[str | None, typer.Option(help="Column with the time of the event.")] = None,
    label_time: Annotated[
        str | None, typer.Option(help="Column with the time at which the label became known.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="binary, multiclass or regression.")] = None,
    positive: Annotated[str | None, typer.Option(help="Value that counts as the positive class.")] = None,
    every: Annotated[str | None, typer.Option(help="Length of a partition: day, week or month.")] = None,
    timezone: Annotated[str, typer.Option(help="Zone of the model and of times without one.")] = "UTC",
    yes: Annotated[bool, typer.Option("--yes", help="Never ask; take every guess.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the model's files.")] = False,
) -> None:
    """Draft a model from a table: write its spec and queries, and check them."""
    from tidemill.checking import check_models
    from tidemill.onboarding.draft import Answers, draft_model, newest_partition
    from tidemill.onboarding.names import TableName
    from tidemill.onboarding.profile import open_table
    from tidemill.onboarding.writing import write_files

    workspace = Workspace.from_environment(reads_only=True)
    with open_table(workspace.connection("warehouse"), TableName.parse(table)) as reader:
        profile = reader.profile()
        answers = Answers(
            label=_label(profile, label, asks=not yes and sys.stdin.isatty()),
            model=model,
            key=tuple(key or ()),
            time=time,
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
    problems = check_models(workspace, [draft.model], source=True)
    for problem in problems:
        err.print(problem, highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)
    partition = newest_partition(draft)
    out.print("The check is green. Read the files, then:")
    for verb in ("train", "predict"):
        out.print(f"  tidemill {verb} {draft.model} --partition {partition}", highlight=False, soft_wrap=True)


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
        f"Left out: {', '.join(draft.selected.left_out) or 'nothing'}; the features query says why.",
    ):
        out.print(line, highlight=False, soft_wrap=True)
