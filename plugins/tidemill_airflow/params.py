"""The parameters of a run that a person triggers: one model, for the form and for the check in the task.

The configuration of a run overrides its parameters, and may hold keys that no form has: the task checks all of it again.
"""

import difflib
from collections.abc import Collection, Mapping
from functools import cache
from typing import Annotated, Any, Literal

from airflow.sdk import Param
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from tidemill.errors import SettingsError

__all__ = ["ActionName", "RunParams", "form_fields", "trigger_form"]

Key = Annotated[str, Field(max_length=32)]
Number = Annotated[int, Field(ge=1)]
ActionName = Literal["acknowledge", "publish", "discard", "promote", "hold", "unhold", "dismiss"]
Held = Literal["release", "prediction_run", "partition", "snapshot"]


class RunParams(BaseModel):
    """The parameters of all DAGs; the form of a DAG shows those that it uses."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    partition: Key | None = Field(
        None, title="Partition", description="Key such as 2013-07-04; leave empty where the run has a partition key."
    )
    cutoff: AwareDatetime | None = Field(
        None,
        title="Cutoff",
        description="Instant as of which features and labels are known; empty for the partition's own.",
    )
    release: Number | None = Field(
        None,
        title="Release",
        description="A release by its number; empty for the one that the policy names, or the partition picks.",
    )
    policy: Literal["live_then", "current"] = Field(
        "live_then",
        title="Policy",
        description="The release that was live for the partition, or the champion of now.",
    )
    to: Number | None = Field(
        None, title="Release", description="Release to go back to; empty for the one before the champion."
    )
    republish_from: Key | None = Field(
        None,
        title="Take back from",
        description="First partition whose rows of undone releases are withdrawn; empty to keep them.",
    )
    republish_to: Key | None = Field(None, title="Take back to", description="Last such partition, included.")
    simulate: bool = Field(
        False,
        title="Simulation",
        description="Allow a release that learnt from data after the partition, and mark its rows.",
    )
    prediction_run: Number | None = Field(
        None,
        title="Prediction run",
        description="Rows to score again, with the release that scored them; empty to rebuild only the release.",
    )
    as_declared: bool = Field(
        False,
        title="As declared today",
        description="Rebuild with the present spec and queries, not with the original ones.",
    )
    dry_run: bool = Field(False, title="Dry run", description="Do everything except publish, promote or trigger.")
    trials: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        None,
        title="Trials",
        description="Settings to try for each candidate besides its defaults; empty for what the spec says, 0 for none.",
    )
    action: ActionName | None = Field(None, title="Action", description="What to do.")
    alert: Number | None = Field(None, title="Alert", description="An open alert by its number.")
    until: AwareDatetime | None = Field(
        None,
        title="Known until (UTC)",
        description="When the problem counts as new again; empty for when it gets worse.",
    )
    force: bool = Field(
        False,
        title="Against the verdict",
        description="Promote what the gate or a person has refused; that is recorded.",
    )
    what: Held | None = Field(None, title="Kind", description="Kind of what retention must keep.")
    name: Annotated[str, Field(max_length=64)] | None = Field(
        None, title="Name", description="Its number, key or digest."
    )
    reason: str = Field("", max_length=500, title="Reason", description="Why, for the record.")

    @classmethod
    def check(cls, params: Mapping[str, Any], form: Collection[str]) -> "RunParams":
        """Validate a run's parameters.

        Parameters
        ----------
        params : mapping of str to object
            The run's parameters, its configuration among them.
        form : collection of str
            Names that the DAG declares. Any other is a mistake: a ``dryrun`` that nobody reads would publish.

        Raises
        ------
        SettingsError
            If a value is of the wrong type, or the DAG has no such parameter.
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


class _Schema(dict[str, Any]):
    """A schema that all forms share. It never changes, so its deep copy, which Airflow often makes, is the schema itself."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Schema":
        return self


def trigger_form(*names: str) -> dict[str, Param]:
    """Return the fields of a DAG's trigger form, by name."""
    fields = form_fields()
    return {
        name: Param(fields[name]["default"], fields[name]["description"], schema=fields[name]["schema"])
        for name in names
    }


@cache  # a form is made for each DAG of each model
def form_fields() -> dict[str, dict[str, Any]]:
    """Return default, description and JSON schema of each field; a choice of one type or null is one list of types."""
    return {
        name: {"default": field["default"], "description": field["description"], "schema": _schema(field)}
        for name, field in RunParams.model_json_schema()["properties"].items()
    }


def _schema(field: Mapping[str, Any]) -> _Schema:
    schema = {key: value for key, value in field.items() if key not in ("anyOf", "default", "description")}
    for choice in field.get("anyOf", ()):
        schema |= choice if choice["type"] != "null" else {}
    if "anyOf" in field and "enum" in schema:
        schema["enum"] = [None, *schema["enum"]]
    return _Schema(schema | ({"type": ["null", schema["type"]]} if "anyOf" in field else {}))


def _unknown(name: str, form: Collection[str]) -> str:
    near = difflib.get_close_matches(name, form, n=1)
    return f"unknown parameter {name!r}; " + (f"did you mean {near[0]!r}?" if near else f"valid are {', '.join(form)}")
