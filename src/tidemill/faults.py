"""Fault points: the instants at which a chaos test kills, freezes, fails or delays a process.

In production each is a look-up in the environment that finds nothing. The variable ``TIDEMILL_FAULT`` arms one:
``publish-before-commit:kill``. Nothing is decided here, and no code may behave differently because of a fault point.
"""

import os
import re
import resource
import signal
import time
from collections import Counter
from collections.abc import Mapping

__all__ = ["FAULT_POINTS", "VARIABLE", "InjectedFault", "fault_point"]

VARIABLE = "TIDEMILL_FAULT"

FAULT_POINTS: Mapping[str, str] = {
    # every step
    "step-started": "the step's run is in the ledger, nothing else has happened",
    "step-done": "the step has done its work, and the ledger does not know how it ended",
    "step-recorded": "the ledger has how the step ended, and the caller does not know",
    "fit-started": "the training set is at hand, and nothing has been learnt from it",
    # files
    "store-filled": "an artifact's files are complete, under a temporary name",
    "store-renamed": "an artifact has its name, and no row of the ledger says so",
    "bundle-written": "a bundle's files are complete, under a temporary name",
    "bundle-renamed": "a bundle has its name, and no row of the ledger says so",
    "card-written": "a model card is complete, under a temporary name",
    # publishing
    "declare-before-commit": "the model's table and view exist only in this transaction",
    "claim-before-commit": "the token is taken, only in this transaction",
    "claim-after-commit": "older attempts can no longer publish, this one has no rows yet",
    "renew-before-commit": "this attempt's own token is taken, only in this transaction",
    "renew-after-commit": "older attempts at the same step of the same chain can no longer publish",
    "write-opened": "the run's table exists, and is empty",
    "write-in-copy": "some of the rows are on their way",
    "write-before-commit": "all rows are there with their key, only in this transaction",
    "write-after-commit": "all rows are there, and no reader sees them",
    "revision-before-commit": "what differs from the visible rows is recorded, only in this transaction",
    "revision-after-commit": "what differs from the visible rows is recorded, and nobody has looked at the new ones",
    "withhold-before-commit": "the run is withheld, only in this transaction",
    "withhold-after-commit": "the run is withheld, and nobody has been told",
    "resolve-before-commit": "a withheld run is published or discarded, only in this transaction",
    "resolve-after-commit": "a withheld run is published or discarded, and the caller does not know it",
    "publish-before-commit": "the pointer has moved, only in this transaction",
    "publish-after-commit": "readers see the new rows, and the caller does not know it",
    "restore-before-commit": "the pointer has moved back, only in this transaction",
    "restore-after-commit": "readers see the earlier rows again, and the caller does not know it",
    # alerts
    "alerts-before-commit": "the alerts have changed and their messages wait, only in this transaction",
    "message-claimed": "a message is this sender's, and has not gone out",
    "message-sent": "a message has gone out, and the outbox does not know it",
    # releases
    "register-before-commit": "the release is there, only in this transaction",
    "register-after-commit": "the release is there, and is not the champion",
    "promote-before-commit": "the champion has changed, only in this transaction",
    "promote-after-commit": "the champion has changed, and MLflow does not know it",
    "shadow-before-commit": "the challenger scores in the shadow, only in this transaction",
    "shadow-after-commit": "the challenger scores in the shadow, and the training does not know it",
    "settle-decided": "the verdict on the release in the shadow is recorded, and nothing has come of it",
    "settle-rolled-back": "the former champion serves again, and the comparison that has shown it still runs",
    "rollback-before-commit": "the champion is the earlier one, only in this transaction",
    "rollback-after-commit": "the champion is the earlier one, and the bad rows are still visible",
    # removal of a model
    "remove-model-tables": "the view and some prediction tables are gone, and the ledger's rows are there",
    "remove-model-before-commit": "the rows are gone, only in this transaction",
    "remove-model-ledger": "the ledger has only the model's removal, and its files are there",
    "remove-model-files": "the files are gone, and MLflow still shows the model",
}
"""Name of each point, and what is true at that instant. ``tests/chaos`` tests all of them."""

_ORDER = re.compile(
    r"(?P<name>[a-z-]+)(?:@(?P<hit>[1-9]\d*))?:(?P<action>kill|stop|raise|memory|sleep=(?P<seconds>\d+(?:\.\d+)?))"
)
_PORTION = 2**24  # bytes taken at a time
_hits: Counter[str] = Counter()


class InjectedFault(RuntimeError):
    """Raised by an armed fault point; no error of Tidemill's, so that nothing expects it."""


def fault_point(name: str) -> None:
    """Do nothing, unless ``TIDEMILL_FAULT`` names this point.

    Parameters
    ----------
    name : str
        A key of ``FAULT_POINTS``. The variable holds ``<name>:<action>``, or ``<name>@3:<action>`` for the third
        time that this process comes here; the action is ``kill`` (SIGKILL), ``stop`` (SIGSTOP), ``raise``,
        ``memory`` (take all that the process may have) or ``sleep=<seconds>``.

    Raises
    ------
    InjectedFault
        If it is armed with ``raise``.
    ValueError
        If the variable is malformed, or names no fault point: a test that tests nothing.

    Examples
    --------
    >>> fault_point("publish-before-commit")
    """
    order = os.environ.get(VARIABLE)
    if order:
        _obey(order, name)


def _obey(order: str, name: str) -> None:
    parsed = _ORDER.fullmatch(order)
    if parsed is None or parsed["name"] not in FAULT_POINTS:
        raise ValueError(
            f"{VARIABLE}={order!r}: expected <name>[@<hit>]:kill|stop|raise|memory|sleep=<seconds>, "
            f"with a name out of {', '.join(FAULT_POINTS)}"
        )
    if parsed["name"] != name:
        return
    _hits[name] += 1
    if _hits[name] == int(parsed["hit"] or 1):
        _act(parsed, name)


def _act(parsed: re.Match[str], name: str) -> None:
    match parsed["action"]:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "raise":
            raise InjectedFault(f"fault point {name!r}: {FAULT_POINTS[name]}")
        case "memory":
            _hoard()
        case _:
            time.sleep(float(parsed["seconds"]))


def _hoard() -> None:
    """Take memory until there is none; without a limit of the address space it would be the machine's."""
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        raise ValueError("an order to use up the memory, and no limit of the address space")
    hoard = []
    while True:
        hoard.append(b"\1" * _PORTION)
