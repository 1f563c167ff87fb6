"""The chains: which steps follow each other, and what each passes on. The DAG files say the same to Airflow.

A chain is a generator that yields requests and is sent each step's record, so that whoever drives it may
show progress or stop after any step.
"""

from collections.abc import Callable, Generator
from datetime import datetime
from typing import Any

from tidemill.errors import FatalError
from tidemill.spec import BASELINES, ModelSpec
from tidemill.steps.running import run_step
from tidemill.workspace import Workspace

__all__ = ["Chain", "drive", "monitor_chain", "predict_chain", "retrain_chain", "train_chain"]

Request = tuple[str, dict[str, Any]]
Chain = Generator[Request, dict[str, Any], None]


def train_chain(spec: ModelSpec, *, dry_run: bool = False, reason: str = "", trials: int | None = None) -> Chain:
    """From the source to a champion, or to the reasons why not, or to a release that waits for a person."""
    snapshot = yield "extract", {"purpose": "train"}
    yield "validate_data", {"snapshot": snapshot}
    profile = yield "analyse", {"snapshot": snapshot}
    split = yield "prepare", {"snapshot": snapshot}
    bundles = []
    for estimator in (*spec.train.estimators, *BASELINES):
        bundles.append((yield "train", {"split": split, "estimator": estimator, "trials": trials}))
    evaluation = yield "evaluate", {"split": split, "bundles": bundles}
    decision = yield "validate_model", {"evaluation": evaluation}
    yield (
        "register",
        {"snapshot": snapshot, "profile": profile, "split": split, "evaluation": evaluation, "decision": decision,
         "approval": None, "dry_run": dry_run, "reason": reason},
    )  # fmt: skip


def predict_chain(*, release: int | None = None, simulate: bool = False, dry_run: bool = False) -> Chain:
    """The rows of one partition, scored by the release that was live for it."""
    found = yield "resolve_release", {"release": release, "simulate": simulate, "dry_run": dry_run}
    snapshot = yield "extract", {"purpose": "score"}
    yield "validate_data", {"snapshot": snapshot}
    prediction = yield "predict", {"release": found, "snapshot": snapshot}
    yield "publish", {"prediction": prediction, "dry_run": dry_run}


def monitor_chain() -> Chain:
    """Tell whether the model is fine today, and if not, why not."""
    collected = yield "collect", {}
    parts = []
    for part in ("drift", "performance", "compute", "freshness"):
        parts.append((yield part, {"collected": collected}))
    alerts = yield "alert", {"collected": collected, "parts": parts}
    yield "report", {"collected": collected, "alerts": alerts}
    yield "notify", {}


def retrain_chain(spec: ModelSpec, *, dry_run: bool = False) -> Chain:
    """Decide whether a new challenger is due, and train it if it is."""
    decision = yield "decide", {}
    if decision["verdict"] == "accept" and not dry_run:
        yield from train_chain(spec, reason=" ".join(decision["reasons"]))
    yield "record_outcome", {"decision": decision, "dry_run": dry_run}


def drive(
    name: str,
    chain: Chain,
    model: str,
    partition: str,
    workspace: Workspace,
    *,
    cutoff: datetime | None = None,
    until: str | None = None,
    on_step: Callable[[str, dict[str, Any] | None], None] = lambda step, record: None,
) -> dict[str, Any]:
    """Run a chain in this process and give its last record.

    Parameters
    ----------
    name : str
        ``train``, ``predict``, ``monitor`` or ``retrain``.
    chain : Chain
        From one of the functions above.
    model, partition : str
        Model and key.
    workspace : Workspace
        Folders and connections.
    cutoff : datetime, optional
        Instant as of which features and labels are known; the partition's own by default.
    until : str, optional
        Stop after this step.
    on_step : callable
        Told the name of a step when it starts, with None, and when it ends, with its record.

    Raises
    ------
    FatalError
        If the chain has no step ``until``.
    """
    seen, (step, inputs) = [], next(chain)
    while True:
        seen.append(step)
        on_step(step, None)
        record = run_step(name, step, model, partition, inputs, workspace=workspace, cutoff=cutoff)
        on_step(step, record)
        if step == until:
            return record
        try:
            step, inputs = chain.send(record)
        except StopIteration:
            break
    if until is not None:
        raise FatalError(f"This chain has no step {until!r}.", f"Its steps are {', '.join(dict.fromkeys(seen))}.")
    return record
