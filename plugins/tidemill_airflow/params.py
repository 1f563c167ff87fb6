"""What a person may say when triggering a DAG by hand: the form, and the check in the task.

A run's configuration overrides parameters, and may hold keys that no form has: all is checked again in the task.
"""

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from airflow.sdk import Param
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from tidemill.errors import SettingsError

__all__ = ["RunParams", "trigger_form"]


class RunParams(BaseModel):
    """The parameters of all DAGs; a DAG's form shows those that it uses."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    partition: str | None = None
    """Partition to work on; None where the run has a partition key."""
    cutoff: AwareDatetime | None = None
    """Instant as of which features and labels are known; None for the partition's own."""
    release: PositiveInt | None = None
    """Release to score with, or to build again; None for the one that the policy names, or the partition picks."""
    policy: str = Field("live_then", pattern="^(live_then|current)$")
    """Which release scores if none is named: the one that was live for the partition, or the champion of now."""
    to: PositiveInt | None = None
    """Release to go back to; None for the one before the champion."""
    republish_from: str | None = None
    """First partition whose rows of undone releases are taken back."""
    republish_to: str | None = None
    """Last such partition, included."""
    simulate: bool = False
    """Allow a release from after the partition, and mark its rows."""
    prediction_run: PositiveInt | None = None
    """Prediction run to score again."""
    as_declared: bool = False
    """Build again with today's spec and queries, not with those of then."""
    dry_run: bool = False
    """Do everything but change what is visible."""
    trials: NonNegativeInt | None = Field(None, le=1000)
    """Settings to try for each candidate besides its defaults; None for what the spec says."""
    reason: str = ""
    """Why, for the record."""

    @classmethod
    def check(cls, params: Mapping[str, Any], form: Collection[str]) -> "RunParams":
        """Validate a run's parameters.

        Parameters
        ----------
        params : mapping of str to object
            The run's parameters, its configuration among them.
        form : collection of str
            What the DAG declares. Anything else is a slip: a ``dryrun`` that nobody reads would publish.

        Raises
        ------
        SettingsError
            If a value is of the wrong kind, or there is one that the DAG does not take.
        """
        found = [_unknown(name, form) for name in params if name not in form]
        try:
            checked = cls.model_validate(dict(params))
        except ValidationError as error:
            found += [f"{item['loc'][0]}: {item['msg']}, got {item['input']!r:.60}" for item in error.errors()]
        if found:
            raise SettingsError(
                f"The run's parameters are wrong: {'; '.join(found)}.", "Correct them, and trigger the DAG again."
            )
        return checked


_FORM: dict[str, Param] = {
    "partition": Param(
        None, type=["null", "string"], maxLength=32, title="Partition",
        description="Key such as 2013-07-04; leave empty where the run has a partition key.",
    ),
    "cutoff": Param(
        None, type=["null", "string"], format="date-time", title="Cutoff",
        description="Instant as of which features and labels are known; empty for the partition's own.",
    ),
    "release": Param(
        None, type=["null", "integer"], minimum=1, title="Release",
        description="A release by its number; empty for the one that the policy names, or the partition picks.",
    ),
    "policy": Param(
        "live_then", type="string", enum=["live_then", "current"], title="Policy",
        description="The release that was live for the partition, or the champion of now.",
    ),
    "to": Param(
        None, type=["null", "integer"], minimum=1, title="Release",
        description="Release to go back to; empty for the one before the champion.",
    ),
    "republish_from": Param(
        None, type=["null", "string"], maxLength=32, title="Take back from",
        description="First partition whose rows of undone releases are taken back; empty to leave rows as they are.",
    ),
    "republish_to": Param(
        None, type=["null", "string"], maxLength=32, title="Take back to", description="Last such partition, included.",
    ),
    "simulate": Param(
        False, type="boolean", title="Simulation",
        description="Allow a release that learnt from data after the partition, and mark its rows.",
    ),
    "prediction_run": Param(
        None, type=["null", "integer"], minimum=1, title="Prediction run",
        description="Rows to score again, with the release that scored them; empty for the release alone.",
    ),
    "as_declared": Param(
        False, type="boolean", title="As declared today",
        description="Build with the spec and queries of today, not with those of then.",
    ),
    "dry_run": Param(
        False, type="boolean", title="Dry run", description="Do everything except publish, promote or trigger."
    ),
    "trials": Param(
        None, type=["null", "integer"], minimum=0, maximum=1000, title="Trials",
        description="Settings to try for each candidate besides its defaults; empty for what the spec says, 0 for none.",
    ),
    "reason": Param("", type="string", maxLength=500, title="Reason", description="Why, for the record."),
}  # fmt: skip


def _unknown(name: str, form: Collection[str]) -> str:
    near = difflib.get_close_matches(name, form, n=1)
    return f"{name!r} is none of {', '.join(form)}" + (f" (is {near[0]!r} meant?)" if near else "")


def trigger_form(*names: str) -> dict[str, Param]:
    """Return the fields of a DAG's trigger form, by name."""
    return {name: _FORM[name] for name in names}
