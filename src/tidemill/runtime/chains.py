"""The chains: which steps follow each other, and what each passes on. The DAG files tell Airflow the same.

A chain runs its steps in the order of their declarations; each takes the newest records of the types that it declares.
It is a generator that yields requests and is sent each step's record, so that its driver may show progress or stop after
any step. Requests that do not wait for each other come as one list, and their records are sent back as a list.
"""

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict, Unpack

from tidemill.errors import FatalError
from tidemill.records import Record
from tidemill.runtime.declarations import STEPS, steps_of
from tidemill.runtime.parallel import Call, run_side_by_side
from tidemill.runtime.run import run_step
from tidemill.runtime.step import Input
from tidemill.spec import BASELINES, ModelSpec
from tidemill.workspace import Workspace

__all__ = [
    "Chain",
    "DriveOptions",
    "drive",
    "monitor_chain",
    "one_by_one",
    "predict_chain",
    "retrain_chain",
    "train_chain",
]

Request = tuple[str, dict[str, Any]]
Group = list[Request]
Chain = Generator[Request | Group, Any, None]
Answered = list[tuple[type[Record], Any]]
"""The records so far, each with its type."""

IN_SHADOW = ("shadow", "settle")
"""Steps of monitoring for a spec with ``accept.shadow`` or ``accept.watch`` only."""


def train_chain(spec: ModelSpec, *, dry_run: bool = False, reason: str = "", trials: int | None = None) -> Chain:
    """Train from the source to a champion, to the reasons for none, or to a release that waits for a person."""
    given = {"purpose": "train", "dry_run": dry_run, "reason": reason, "trials": trials}
    return _steps("train", given, [spec.train.estimators, *([baseline] for baseline in BASELINES)])


def predict_chain(*, release: int | None = None, simulate: bool = False, dry_run: bool = False) -> Chain:
    """Score the rows of one partition by the release that was live for it, and publish or withhold them."""
    return _steps("predict", {"purpose": "score", "release": release, "simulate": simulate, "dry_run": dry_run})


def monitor_chain(spec: ModelSpec) -> Chain:
    """Find whether the model is fine today, and if not, why not; compare releases in the shadow if the spec asks for it."""
    return _steps("monitor", {}, without=() if spec.accept.in_shadow else IN_SHADOW)


def retrain_chain(spec: ModelSpec, *, dry_run: bool = False) -> Chain:
    """Decide whether a new challenger is due, and train it if it is."""
    decision = yield "decide", {}
    if decision["verdict"] == "accept" and not dry_run:
        yield from train_chain(spec, reason=" ".join(decision["reasons"]))
    yield "record_outcome", {"decision": decision, "dry_run": dry_run}


def _steps(
    chain: str,
    given: Mapping[str, Any],
    estimators: Sequence[Sequence[str]] = (),
    without: Collection[str] = (),
) -> Chain:
    """Run the steps of a chain in order; a step that takes an estimator runs once for each, those of a group at once."""
    answered: Answered = []
    for step in (found for found in steps_of(chain) if found.name not in without):
        inputs = _inputs(step.inputs, given, answered)
        if "estimator" in step.inputs:
            for group in estimators:
                requests: Group = [(step.name, inputs | {"estimator": name}) for name in group]
                records = (yield requests) if len(requests) > 1 else [(yield requests[0])]
                answered += [(step.record, record) for record in records]
        else:
            answered.append((step.record, (yield step.name, inputs)))


def _inputs(declared: Mapping[str, Input], given: Mapping[str, Any], answered: Answered) -> dict[str, Any]:
    """Return the inputs of a step: plain values by name, records by type. Optional records keep their defaults."""
    found = {name: given[name] for name, taken in declared.items() if taken.record is None and name in given}
    for name, taken in declared.items():
        if taken.record is not None and taken.required:
            records = [record for kind, record in answered if kind is taken.record]
            found[name] = records if taken.many else records[-1]
    return found


def one_by_one(chain: Chain) -> Generator[Request, dict[str, Any], None]:
    """Yield the requests of a chain one by one, those of a list in its order.

    Examples
    --------
    >>> steps = one_by_one(predict_chain())
    >>> next(steps)[0], steps.send({"rows": 1})[0]
    ('resolve_release', 'extract')
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


class DriveOptions(TypedDict, total=False):
    """How a chain is run."""

    cutoff: datetime | None
    """Instant as of which features and labels are known; the partition's own by default."""
    until: str | None
    """Step after which to stop; none by default."""
    at_once: int
    """Steps that may run side by side where the chain allows it; with 1, the default, all run in this process."""
    on_step: Callable[[str, dict[str, Any] | None], None]
    """Called with the name of a step and None when it starts, and with its record when it ends."""
    run: Callable[..., dict[str, Any]]
    """Runs a step in this process; takes the arguments of `run_step`, which is the default."""


def drive(
    name: str, chain: Chain, model: str, partition: str, workspace: Workspace, **options: Unpack[DriveOptions]
) -> dict[str, Any]:
    """Run a chain and return its last record.

    Parameters
    ----------
    name : str
        ``train``, ``predict``, ``monitor`` or ``retrain``.
    chain : Chain
        From one of the functions above.
    **options
        See `DriveOptions`.

    Raises
    ------
    FatalError
        If the chain has no step ``until``; before anything runs, if no chain has.
    """
    until, at_once = options.get("until"), options.get("at_once", 1)
    on_step, run = options.get("on_step", _ignore), options.get("run", run_step)
    if until is not None and until not in STEPS:
        raise FatalError(f"There is no step {until!r}.", f"Steps are {', '.join(STEPS)}.")

    def call(request: Request) -> Call:
        step, inputs = request
        return (name, step, model, partition, inputs), {"workspace": workspace, "cutoff": options.get("cutoff")}

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


def _ignore(step: str, record: dict[str, Any] | None) -> None:
    pass


def _walk(chain: Chain, answer: Callable[[Request | Group], Any], until: str | None) -> dict[str, Any]:
    """Answer a chain's requests up to a step, or to its end, and return the last record."""
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
