"""Checking: every problem of every spec and query that can be found before anything runs."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tidemill.errors import FatalError, SpecError
from tidemill.spec import ModelSpec
from tidemill.spec_file import read_spec
from tidemill.warehouse.queries import PARAMETERS, bind
from tidemill.warehouse.reading import describe, frozen_view
from tidemill.workspace import Workspace

__all__ = ["check_models"]


def check_models(workspace: Workspace, models: list[str], *, source: bool) -> list[str]:
    """Give every problem of some models' specs, contracts and queries.

    Parameters
    ----------
    workspace : Workspace
        Folders and connections.
    models : list of str
        Names; all models of the folder if empty.
    source : bool
        Whether to ask the source about tables, columns and types too.

    Returns
    -------
    list of str
        One sentence a problem, with file and line; empty if all is well.
    """
    names = models or sorted(path.stem for path in workspace.models.glob("*.yaml"))
    if not names:
        return [f"There is no spec in {workspace.models}. Write one, such as {workspace.models / 'my_model.yaml'}."]
    return [problem for name in names for problem in _problems(workspace, name, source=source)]


def _problems(workspace: Workspace, model: str, *, source: bool) -> Iterator[str]:
    try:
        spec = read_spec(workspace.models / f"{model}.yaml")
    except SpecError as error:
        yield error.problem
        return
    yield from _contract_problems(spec)
    yield from _name_problems(spec)
    for file, wanted in _queries(spec):
        try:
            _check_query(workspace, spec, file, wanted, source=source)
        except FatalError as error:
            yield f"{model}: {error}"


def _contract_problems(spec: ModelSpec) -> Iterator[str]:
    from tidemill.checks import columns_of
    from tidemill.contracts import problems_of  # takes seconds to import

    for position, problem in problems_of(spec.contract):
        yield f"{spec.model}: contract, entry {position + 1}: {problem}"
    if spec.features is not None:
        known = {*spec.features.numeric, *spec.features.categorical, spec.entity_key, spec.event_time}
        for name in columns_of(spec.contract):
            if name not in known:
                yield f"{spec.model}: the contract speaks of column {name!r}, which is no feature, key or time."


def _name_problems(spec: ModelSpec) -> Iterator[str]:
    """Names that only mean something to the modeling room."""
    from tidemill.modeling.estimators import candidates, instance_of
    from tidemill.modeling.search_space import space_problems

    known = candidates(spec.task.value)
    for name in spec.train.estimators:
        if name not in known and name not in spec.train.own:
            yield (
                f"{spec.model}: train.estimators names {name!r}; for {spec.task.value!r} there are {', '.join(known)}, "
                "and what train.own describes."
            )
    for name, own in spec.train.own.items():
        try:
            instance_of(name, own, spec.task.value)
        except SpecError as error:
            yield f"{spec.model}: {error}"
    for name, space in spec.train.search.space.items():
        if name not in spec.train.estimators:
            yield f"{spec.model}: train.search.space names {name!r}, which train.estimators does not list."
        yield from (f"{spec.model}: {problem}" for problem in space_problems(name, space))
    for name in spec.accept.slices:
        if spec.features is not None and name not in spec.features.categorical:
            yield f"{spec.model}: accept.slices names {name!r}, which is no categorical feature."


def _queries(spec: ModelSpec) -> Iterator[tuple[str, list[str]]]:
    features = () if spec.features is None else spec.features.numeric + spec.features.categorical
    yield spec.source.features, [spec.entity_key, spec.event_time, *features, *spec.accept.slices]
    yield spec.source.labels, [spec.entity_key, spec.label.column, "observed_at"]


def _check_query(workspace: Workspace, spec: ModelSpec, file: str, wanted: list[str], *, source: bool) -> None:
    bound = bind(workspace.query(file), file)
    if not source:
        return
    noon = datetime(2000, 1, 1, 12, tzinfo=UTC)  # any instants do: the query is described, not run
    parameters = dict(zip(PARAMETERS, (noon, noon + timedelta(days=1), noon), strict=True))
    with frozen_view(workspace.connection(spec.source.connection), timeout_s=30) as cursor:
        given = [column.name for column in describe(cursor, bound, parameters)]
    missing = [name for name in wanted if name not in given]
    if missing:
        raise SpecError(f"{file} gives no column(s) {missing}.", f"It gives {given}: select them, or change the spec.")
