"""The table of actions that a person may take in the console. Each opens a DAG run of the model, or answers a waiting task."""

import shlex
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["ACTIONS", "FORM", "RUN_PREFIX", "Action", "Name"]

Name = Literal[
    "acknowledge",
    "dismiss",
    "publish",
    "discard",
    "promote",
    "hold",
    "unhold",
    "roll_back",
    "train",
    "retrain",
    "approve",
    "reject",
]
"""Names of the actions, as they appear in URLs."""

RUN_PREFIX = "console__"
"""Prefix of the ids of the runs that the console opens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that a person may do."""

    title: str
    """Imperative phrase, as on its button."""
    effect: str
    """What happens then."""
    verb: str
    """Kind of DAG whose runs the person must be allowed to trigger, or whose task takes the answer."""
    needs: tuple[str, ...] = ()
    """Fields that must be filled in."""
    takes: tuple[str, ...] = ()
    """Fields that may be filled in."""
    command: str = ""
    """Command that does the same, with fields in braces; empty if only the waiting task can do it."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Option of the command for a field that may be filled in."""
    answer: str | None = None
    """What the waiting task is told; None for an action that opens a run."""
    previewed: bool = False
    """Whether the page shows what would change before it offers the button."""

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields but the reason."""
        return (*self.needs, *self.takes)

    def equivalent(self, model: str, values: Mapping[str, Any]) -> str:
        """Return the equivalent command; ``…`` stands for what is not filled in.

        Examples
        --------
        >>> ACTIONS["promote"].equivalent("flight_delays", {"release": 7, "force": True, "reason": "checked twice"})
        "tidemill promote flight_delays 7 --reason 'checked twice' --force"
        """
        if not self.command:
            return ""
        given = {name: shlex.quote(str(value)) for name, value in values.items() if value not in (None, "", False)}
        filled = defaultdict(lambda: "…", given, model=model)
        options = [option for name, option in self.options.items() if name in given]
        return " ".join(["tidemill", *(part.format_map(filled) for part in (self.command, *options))])


ACTIONS: Mapping[str, Action] = {
    "acknowledge": Action(
        title="Acknowledge the alert",
        effect="The problem counts as known, and reminders stop, until it gets worse or the given instant has come.",
        verb="act",
        needs=("alert",),
        takes=("until",),
        command="alerts {model} --acknowledge {alert} --reason {reason}",
        options={"until": "--until {until}"},
    ),
    "dismiss": Action(
        title="Dismiss the failures",
        effect="The partition's failed steps leave the list; a later failure is shown again.",
        verb="act",
        needs=("partition",),
        command="dismiss {model} --partition {partition} --reason {reason}",
    ),
    "publish": Action(
        title="Publish the withheld rows",
        effect="Readers see the new rows instead of the partition's earlier ones.",
        verb="act",
        needs=("partition",),
        command="publish {model} {partition} --reason {reason}",
    ),
    "discard": Action(
        title="Discard the withheld rows",
        effect="Readers keep the partition's earlier rows, if there are any.",
        verb="act",
        needs=("partition",),
        command="discard {model} {partition} --reason {reason}",
    ),
    "promote": Action(
        title="Promote the release",
        effect="The release becomes the champion and scores the next partitions.",
        verb="act",
        needs=("release",),
        takes=("force",),
        command="promote {model} {release} --reason {reason}",
        options={"force": "--force"},
    ),
    "hold": Action(
        title="Hold",
        effect="Retention keeps it until the hold is released.",
        verb="act",
        needs=("what", "name"),
        command="hold {model} {what} {name} --reason {reason}",
    ),
    "unhold": Action(
        title="Release the hold",
        effect="Retention may remove it once it is old enough.",
        verb="act",
        needs=("what", "name"),
        command="unhold {model} {what} {name} --reason {reason}",
    ),
    "roll_back": Action(
        title="Roll back",
        effect="An earlier champion serves again. In the given partitions, readers get rows of releases that are not undone.",
        verb="rollback",
        takes=("to", "republish_from", "republish_to"),
        command="rollback {model} --reason {reason}",
        options={"to": "--to {to}", "republish_from": "--republish {republish_from}..{republish_to}"},
        previewed=True,
    ),
    "train": Action(
        title="Train now",
        effect="A challenger is trained as of the partition; the acceptance gate decides whether it serves.",
        verb="train",
        needs=("partition",),
        command="train {model} --partition {partition}",
    ),
    "retrain": Action(
        title="Decide about retraining",
        effect="The policy decides as of the partition whether a challenger is due, and trains it if so.",
        verb="retrain",
        needs=("partition",),
        command="retrain {model} --partition {partition}",
    ),
    "approve": Action(
        title="Approve the new model",
        effect="The waiting training registers it, and it serves.",
        verb="train",
        needs=("run",),
        answer="Approve",
    ),
    "reject": Action(
        title="Reject the new model",
        effect="The waiting training registers it as refused, and the champion stays.",
        verb="train",
        needs=("run",),
        answer="Reject",
    ),
}
"""All actions by name."""

FORM = (
    "action",
    *dict.fromkeys(name for item in ACTIONS.values() if item.verb == "act" for name in item.fields),
    "reason",
)
"""Fields of the form of the DAG ``act``."""
