"""Actions that a person may request, each one short change of the ledger by the function that its command calls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tidemill.errors import FatalError
from tidemill.operations.dismiss import dismiss_failures
from tidemill.operations.rollback import promote_by_hand
from tidemill.spec import ModelSpec
from tidemill.steps.predict.resolution import Resolution, find_withheld, resolve_withheld
from tidemill.warehouse.alerts.state import Acknowledgement, Alerts
from tidemill.warehouse.releases.holds import Holds
from tidemill.workspace import LEDGER, Workspace

__all__ = ["PERFORM", "Asked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A person's request about one model."""

    workspace: Workspace
    """Folders and connections."""
    spec: ModelSpec
    by: str
    reason: str
    """Why, for the record."""


def _acknowledge(asked: Asked, *, alert: int, until: datetime | None = None) -> str:
    acknowledgement = Acknowledgement(by=asked.by, reason=asked.reason, until=until)
    store = Alerts(asked.workspace.connection(LEDGER))
    known = store.acknowledge(alert, acknowledgement, model=asked.spec.model)
    if known is None:
        raise FatalError(
            f"Model {asked.spec.model!r} has no open alert {alert}.", f"See 'tidemill alerts {asked.spec.model}'."
        )
    return f"{asked.by} knows of alert {alert}: {known.alert.message}"


def _publish(asked: Asked, *, partition: str) -> str:
    _resolve(asked, partition, publish=True)
    return f"The withheld rows of partition {partition} are published."


def _discard(asked: Asked, *, partition: str) -> str:
    _resolve(asked, partition, publish=False)
    return f"The withheld rows of partition {partition} are discarded."


def _resolve(asked: Asked, partition: str, *, publish: bool) -> None:
    run = find_withheld(asked.workspace, asked.spec, partition)
    resolution = Resolution(publish=publish, by=asked.by, reason=asked.reason)
    resolve_withheld(asked.workspace, asked.spec, run, resolution)


def _promote(asked: Asked, *, release: int, force: bool = False) -> str:
    promote_by_hand(asked.spec, asked.workspace, release, force=force, approved_by=asked.by, reason=asked.reason)
    return f"Release {release} is the champion."


def _hold(asked: Asked, *, what: str, name: str) -> str:
    _holds(asked).hold(asked.spec.model, what, name, asked.reason, by=asked.by)
    return f"The {what} {name} is held."


def _unhold(asked: Asked, *, what: str, name: str) -> str:
    _holds(asked).unhold(asked.spec.model, what, name, asked.reason, by=asked.by)
    return f"The {what} {name} is no longer held."


def _holds(asked: Asked) -> Holds:
    return Holds(asked.workspace.connection(LEDGER))


def _dismiss(asked: Asked, *, partition: str) -> str:
    found = dismiss_failures(asked.workspace, asked.spec.model, partition, dismissed_by=asked.by, reason=asked.reason)
    return f"{len(found)} failed step(s) of partition {partition} are dismissed."


PERFORM: Mapping[str, Callable[..., str]] = {
    "acknowledge": _acknowledge,
    "publish": _publish,
    "discard": _discard,
    "promote": _promote,
    "hold": _hold,
    "unhold": _unhold,
    "dismiss": _dismiss,
}
"""Function of each action: takes `Asked` and the action's own values, and returns what was done in one sentence."""
