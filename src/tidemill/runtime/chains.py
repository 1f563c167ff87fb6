"""The chains: which steps follow each other, and what each passes on. The DAG files say the same to Airflow.

A chain is a generator that yields requests and is sent each step's record, so that whoever drives it may
show progress or stop after any step. Requests that do not wait for each other come as one list,
which is answered with the list of their records.
"""

from collections.abc import Callable, Generator
from datetime import datetime
from typing import Any

from tidemill.errors import FatalError
from tidemill.runtime.parallel import Call, run_side_by_side
from tidemill.runtime.run import STEPS, run_step
from tidemill.spec import BASELINES, ModelSpec
from tidemill.workspace import Workspace

__all__ = ["Chain", "drive", "monitor_chain", "one_by_one", "predict_chain", "retrain_chain", "train_chain"]

Request = tuple[str, dict[str, Any]]
Group = list[Request]
Chain = Generator[Request | Group, Any, None]


def train_chain(spec: ModelSpec, *, dry_run: bool = False, reason: str = "", trials: int | None = None) -> Chain:
    """From the source to a champion, or to the reasons why not, or to a release that waits for a person."""
    snapshot = yield "extract", {"purpose": "train"}
    yield "validate_data", {"snapshot": snapshot}
    profile = yield "analyse", {"snapshot": snapshot}
    split = yield "prepare", {"snapshot": snapshot}
    bundles = yield [
        ("train", {"split": split, "estimator": estimator, "trials": trials}) for estimator in spec.train.estimators
    ]
    for baseline in BASELINES:
        bundles.append((yield "train", {"split": split, "estimator": baseline, "trials": trials}))
    evaluation = yield "evaluate", {"split": split, "bundles": bundles}
    decision = yield "validate_model", {"evaluation": evaluation}
    yield (
        "register",
        {
            "snapshot": snapshot,
            "profile": profile,
            "split": split,
            "evaluation": evaluation,
            "decision": decision,
            "approval": None,
            "dry_run": dry_run,
            "reason": reason,
        },
    )


def predict_chain(*, release: int | None = None, simulate: bool = False, dry_run: bool = False) -> Chain:
    """Score one partition with the release that was live for it."""
    found = yield "resolve_release", {"release": release, "simulate": simulate, "dry_run": dry_run}
    snapshot = yield "extract", {"purpose": "score"}
    yield "validate_data", {"snapshot": snapshot}
    prediction = yield "predict", {"release": found, "snapshot": snapshot}
    yield "publish", {"prediction": prediction, "dry_run": dry_run}


def monitor_chain() -> Chain:
    """Return whether the model is fine today, and if not, why not."""
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


def one_by_one(chain: Chain) -> Generator[Request, dict[str, Any], None]:
    """Return a chain's requests singly, those of a list in its order.

    Examples
    --------
    >>> steps = one_by_one(monitor_chain())
    >>> next(steps), steps.send({"rows": 1})[0]
    (('collect', {}), 'drift')
    """
    request = next(chain)
    while True:
        answer: Any = []
        if isinstance(request, list):
            for single in request:
                answer.append((yield single))
        else:
            answer = yield request
        try:
            request = chain.send(answer)
        except StopIteration:
            return


def drive(
    name: str,
    chain: Chain,
    model: str,
    partition: str,
    workspace: Workspace,
    *,
    cutoff: datetime | None = None,
    until: str | None = None,
    at_once: int = 1,
    on_step: Callable[[str, dict[str, Any] | None], None] = lambda step, record: None,
    run: Callable[..., dict[str, Any]] = run_step,
) -> dict[str, Any]:
    """Run a chain and give its last record.

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
    at_once : int, default 1
        Steps that may run side by side where the chain allows it; with 1, all run in this process.
    on_step : callable
        Told the name of a step when it starts, with None, and when it ends, with its record.
    run : callable
        What runs a step in this process; takes the arguments of ``run_step``.

    Raises
    ------
    FatalError
        If the chain has no step ``until``; before anything is run, if no chain has.
    """
    if until is not None and until not in STEPS:
        raise FatalError(f"There is no step {until!r}.", f"Steps are {', '.join(STEPS)}.")

    def call(request: Request) -> Call:
        step, inputs = request
        return (name, step, model, partition, inputs), {"workspace": workspace, "cutoff": cutoff}

    def answer(request: Request | Group) -> Any:
        group = request if isinstance(request, list) else [request]
        for step, _ in group:
            on_step(step, None)
        if isinstance(request, list):
            return run_side_by_side(
                [call(single) for single in group], at_once, lambda number, record: on_step(group[number][0], record)
            )
        positional, named = call(request)
        record = run(*positional, **named)
        on_step(request[0], record)
        return record

    return _walk(chain if at_once > 1 else one_by_one(chain), answer, until)


def _walk(chain: Chain, answer: Callable[[Request | Group], Any], until: str | None) -> dict[str, Any]:
    """Answer a chain's requests up to a step, or to its end, and give the last record."""
    seen, request = [], next(chain)
    while True:
        answered = answer(request)
        group = request if isinstance(request, list) else [request]
        seen += [step for step, _ in group]
        record: dict[str, Any] = answered[-1] if isinstance(request, list) else answered
        if until in seen:
            return record
        try:
            request = chain.send(answered)
        except StopIteration:
            break
    if until is not None:
        raise FatalError(f"This chain has no step {until!r}.", f"Its steps are {', '.join(dict.fromkeys(seen))}.")
    return record
