"""Progress on standard error, with the time left. Only a terminal shows it; in a pipe there is none."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from tidemill.cli.console import err
from tidemill.runtime.declarations import steps_of
from tidemill.warehouse.ledger import Ledger, StepRun
from tidemill.workspace import LEDGER, Workspace

__all__ = ["bars", "running", "usual_duration", "usual_seconds"]


@contextmanager
def bars() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar per label; yield a function that takes the label, how much is done, and the total."""
    left = TimeRemainingColumn(elapsed_when_finished=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), left)
    shown: dict[str, TaskID] = {}
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:

        def on_progress(label: str, done: int, total: int) -> None:
            if label not in shown:
                shown[label] = progress.add_task(label, total=total)
            progress.update(shown[label], completed=done, total=total)

        yield on_progress


@contextmanager
def running(usual_s: float | None = None) -> Iterator[Callable[[str], None]]:
    """Show what is running, for how long, and how much is left of the usual seconds; yield a function that takes its name."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), _Left(usual_s))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("", total=None)
        yield lambda name: progress.update(task, description=f"{name} …")


def usual_duration(workspace: Workspace, model: str, chain: str) -> float | None:
    """Return the seconds that a chain of a model took the last time, from the ledger; None if it has never run."""
    runs = Ledger(workspace.connection(LEDGER)).step_runs(model)
    return usual_seconds(runs, chain, steps_of(chain)[0].name)


def usual_seconds(runs: Sequence[StepRun], chain: str, first_step: str) -> float | None:
    """Return how long a chain took the last time; None if it has never run.

    Parameters
    ----------
    runs : sequence of StepRun
        Succeeded steps of a model, newest first.
    chain, first_step : str
        Name of the chain, and of the step that it begins with.
    """
    seconds = 0.0
    for run in runs:
        if run.chain == chain:
            seconds += run.wall_s
            if run.step == first_step:
                return seconds
    return None


class _Left(ProgressColumn):
    """What is left of the usual duration of a task; nothing once that is over."""

    def __init__(self, usual_s: float | None) -> None:
        super().__init__()
        self._usual_s = usual_s

    def render(self, task: Task) -> Text:
        left = 0.0 if self._usual_s is None else self._usual_s - (task.elapsed or 0.0)
        if left < 1:
            return Text("")
        return Text(f"about {left:.0f} s left" if left < 100 else f"about {left / 60:.0f} min left")
