"""Check specs and queries: report every problem that can be found before a run."""

import bisect
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
from croniter import croniter
from psycopg2.errors import UndefinedTable

from tidemill.checks import columns_of, surely_accepted, why_unjudged
from tidemill.errors import NotTrainable, SchemaChanged, SettingsError, SpecError, TidemillError
from tidemill.intervals import Every, Partition, day_of
from tidemill.metrics.definitions import is_own
from tidemill.modeling.search.space import space_problems
from tidemill.sources import open_schema
from tidemill.spec import ModelSpec, candidates
from tidemill.spec_file import spec_paths
from tidemill.steps.data.extract import (
    require_columns,
    require_same_keys,
    training_window,
    wanted_features,
    wanted_labels,
)
from tidemill.steps.data.features import feature_schema
from tidemill.steps.data.labels import labelled
from tidemill.steps.data.policy import denied_reads, useless_denials
from tidemill.steps.data.split_plan import plan_split
from tidemill.steps.data.weights import refuse_odd_weight
from tidemill.versions import OPTIONAL_LIBRARIES, load_library
from tidemill.warehouse.model_queries import PARAMETERS, bind
from tidemill.warehouse.predictions.views import refuse_broken_views
from tidemill.warehouse.readiness import ask_ready
from tidemill.warehouse.reading import Column
from tidemill.warehouse.releases.registry import Releases
from tidemill.workspace import LEDGER, Workspace

__all__ = ["check_models", "waiting_models"]

DAY = timedelta(days=1)
_DAYS_OF_BLOCK = {Every.WEEK: 7, Every.MONTH: 31}  # days of the longest block; shorter partitions count by day
_MOST_DAYS = 4000  # longest window that is tried
N_TICKS = 200  # ticks of a schedule that are checked: a week of hours, half a year of days


def check_models(workspace: Workspace, models: list[str], *, source: bool) -> list[str]:
    """Return all problems of the models' specs, contracts and queries.

    Parameters
    ----------
    models : list of str
        Names of the models; if empty, all models of the folder.
    source : bool
        Whether to connect to the source and check tables, columns and types too.

    Returns
    -------
    list of str
        One sentence per problem, with file and line; empty if there is none.
    """
    try:
        names = models or [path.stem for path in spec_paths(workspace.models)]
    except SpecError as error:
        return [error.problem]
    if not names:
        return [f"There is no spec in {workspace.models}. Write one, for example {workspace.models / 'my_model.yaml'}."]
    return [problem for name in names for problem in _problems(workspace, name, source=source)]


def waiting_models(workspace: Workspace) -> dict[str, str]:
    """Return the models that have never been promoted and whose tables do not exist yet, each with what is missing.

    A model that is written before its data come is no problem; one that serves and has lost a table is.
    """
    found = {path.stem: _missing_table(workspace, path.stem) for path in spec_paths(workspace.models)}
    return {model: missing for model, missing in found.items() if missing is not None}


def _missing_table(workspace: Workspace, model: str) -> str | None:
    try:
        spec = workspace.spec(model)
        if Releases(workspace.connection(LEDGER)).champion(model) is not None:
            return None
        with open_schema(workspace, spec, timeout_s=30) as source:
            source.columns(spec.source.features, _some_parameters())
    except SchemaChanged as error:
        return error.problem if isinstance(error.__cause__, UndefinedTable) else None
    except TidemillError:  # reported with the other problems
        return None
    return None


def _problems(workspace: Workspace, model: str, *, source: bool) -> Iterator[str]:
    try:
        spec = workspace.spec(model)
    except SpecError as error:
        yield error.problem
        return
    yield from _contract_problems(spec)
    yield from _name_problems(spec)
    yield from _schedule_problems(spec)
    yield from _split_problems(spec)
    if source:
        yield from _view_problems(workspace, spec)
    described: dict[str, tuple[Column, ...]] = {}
    for file, wanted in _queries(spec):
        try:
            if source:
                described[file], found = _described(workspace, spec, file, wanted)
                yield from (
                    f"{model}: {problem}" for problem in (*found, *_query_problems(spec, file, described[file]))
                )
            else:
                bind(workspace.query(file), file)
        except TidemillError as error:  # an unreachable source must not hide other problems
            yield f"{model}: {error}"
    yield from _ready_problems(workspace, spec, source=source)
    if len(described) == 2:
        try:
            require_same_keys(described[spec.source.features], described[spec.source.labels], spec)
            refuse_odd_weight(described[spec.source.features], described[spec.source.labels], spec)
        except TidemillError as error:
            yield f"{model}: {error}"


def _ready_problems(workspace: Workspace, spec: ModelSpec, *, source: bool) -> Iterator[str]:
    """Report ready queries that are missing or invalid, or return something other than a boolean and a reason."""
    files = {part.ready.query for part in (spec.train, spec.predict, spec.monitor) if part.ready is not None}
    for file in sorted(filter(None, files)):
        try:
            text = workspace.query(file)
            bind(text, file)
            if source:
                ask_ready(workspace.connection(spec.source.connection), text, file, _some_parameters())
        except TidemillError as error:
            yield f"{spec.model}: {error}"


def _view_problems(workspace: Workspace, spec: ModelSpec) -> Iterator[str]:
    """Report dependent views that the model's own view would break; without a ledger connection, report nothing."""
    try:
        url = workspace.connection(LEDGER)
    except SettingsError:
        return
    try:
        refuse_broken_views(url, spec.model, spec.task.value)
    except TidemillError as error:
        yield f"{spec.model}: {error}"


def _contract_problems(spec: ModelSpec) -> Iterator[str]:
    if all(map(surely_accepted, spec.contract)):
        return
    from tidemill.contracts import problems_of  # takes seconds to import

    for position, problem in problems_of(spec.contract):
        yield f"{spec.model}: contract, entry {position + 1}: {problem}"


def _metric_problems(spec: ModelSpec) -> Iterator[str]:
    """Report a custom metric that cannot be used, by trying it on some invented rows."""
    if not is_own(spec.accept.metric):
        return
    from tidemill.metrics.own import try_metric  # loads numpy, and the user's code

    try:
        try_metric(spec.accept.metric, spec.task.value, weighted=spec.weight is not None)
    except TidemillError as error:
        yield f"{spec.model}: {error}"


def _name_problems(spec: ModelSpec) -> Iterator[str]:
    """Report estimators, parameters and slices that do not exist."""
    yield from _estimator_problems(spec)
    yield from _metric_problems(spec)
    for name, space in spec.train.search.space.items():
        if name not in spec.train.estimators:
            yield f"{spec.model}: train.search.space names {name!r}, which train.estimators does not list."
        yield from (f"{spec.model}: {problem}" for problem in space_problems(name, space))
    for name in spec.accept.slices:
        if spec.listed_features is not None and name not in (*spec.listed_features.categorical, *spec.audit):
            yield f"{spec.model}: accept.slices names {name!r}, which is neither a categorical feature nor an audit column."


def _estimator_problems(spec: ModelSpec) -> Iterator[str]:
    """Report estimators that do not exist, or whose package is not installed."""
    known = candidates(spec.task.value)
    for name in spec.train.estimators:
        if name not in known and name not in spec.train.own:
            yield (
                f"{spec.model}: train.estimators names {name!r}; for {spec.task.value!r} there are {', '.join(known)}, "
                "and what train.own describes."
            )
        elif name in OPTIONAL_LIBRARIES and name not in spec.train.own:
            try:
                load_library(name)
            except SpecError as error:
                yield f"{spec.model}: {error}"
    if spec.train.own:
        yield from _own_problems(spec)


def _own_problems(spec: ModelSpec) -> Iterator[str]:
    from tidemill.modeling.estimators import instance_of  # loads scikit-learn

    for name, own in spec.train.own.items():
        try:
            instance_of(name, own, spec.task.value)
        except SpecError as error:
            yield f"{spec.model}: {error}"


def _schedule_problems(spec: ModelSpec) -> Iterator[str]:
    """Report a schedule that runs before the cutoff: the query would return different rows after the cutoff."""
    schedules = {
        "train": spec.train.schedule,
        "predict": spec.predict.schedule,
        "monitor": spec.monitor.schedule,
        "retrain": spec.retrain.schedule,
    }
    for chain, schedule in schedules.items():
        if schedule is not None and (early := _first_too_early(spec, schedule)) is not None:
            tick, partition = early
            cutoff = partition.cutoff.astimezone(tick.tzinfo)
            yield (
                f"{spec.model}: {chain}.schedule {schedule!r} runs at {tick:%a %H:%M}, before the cutoff of its "
                f"partition {partition.key!r}, {cutoff:%a %H:%M}. Run it later, choose an earlier partitions.cutoff, or lower "
                "predict.offset."
            )


def _first_too_early(spec: ModelSpec, schedule: str) -> tuple[datetime, Partition] | None:
    ticks = croniter(schedule, datetime(2024, 1, 1))  # noqa: DTZ001 - a wall clock's time
    for _ in range(N_TICKS):
        tick = ticks.get_next(datetime).replace(tzinfo=ZoneInfo(spec.timezone))
        partition = spec.partition_at(tick)
        if tick < partition.cutoff:
            return tick, partition
    return None


def _split_problems(spec: ModelSpec) -> Iterator[str]:
    """Report a window that leaves nothing to train on, and a test set too short for the gate."""
    if not spec.has_time:  # the spec limits the folds
        return
    from tidemill.metrics.blocks import MIN_BLOCKS  # loads numpy

    test = f"{spec.model}: train.test ({spec.train.test / DAY:g} days)"
    found = _blocks_of_test(spec)
    if None in found:
        gap = (
            f", and label.matures_after ({spec.label.matures_after / DAY:g} days) twice,"
            if spec.label.matures_after
            else ""
        )
        yield (
            f"{test} and train.validation ({spec.train.validation / DAY:g} days){gap} leave nothing of train.window "
            f"({spec.train.window / DAY:g} days) to train on. {_what_passes(spec)}"
        )
        return
    n_blocks = min(n for n in found if n is not None)
    if n_blocks < MIN_BLOCKS:
        unit = spec.partitions.every.block_unit
        yield (
            f"{test} holds {n_blocks} {unit}{'' if n_blocks == 1 else 's'}; the gate needs at least {MIN_BLOCKS} to decide, "
            f"so no model could ever pass. {_what_passes(spec)}"
        )


def _what_passes(spec: ModelSpec) -> str:
    """Return the least train.test and train.window with which the gate can decide in every month of the year."""
    from tidemill.metrics.blocks import MIN_BLOCKS  # loads numpy

    every = spec.partitions.every
    days = _DAYS_OF_BLOCK.get(every, 1)
    test = max(spec.train.test, timedelta(days=MIN_BLOCKS * days))

    def passes(window: timedelta) -> bool:
        train = spec.train.model_copy(update={"test": test, "window": window})
        return all((n or 0) >= MIN_BLOCKS for n in _blocks_of_test(spec.model_copy(update={"train": train})))

    changes = {} if test == spec.train.test else {"test": test}
    if passes(spec.train.window):
        return f"Write {_written(changes)}."
    n_blocks = bisect.bisect_left(range(_MOST_DAYS // days), True, key=lambda n: passes(timedelta(days=n * days)))
    unit, gap = every.block_unit, ""
    if spec.label.matures_after:
        gap = f", and to wait for labels before each set: a {unit} whose last labels are not known yet is left out as a whole"
    return (
        f"Write {_written({**changes, 'window': timedelta(days=n_blocks * days)})}: {n_blocks} {unit}s, at least "
        f"{MIN_BLOCKS} of them to test, the others to train and to validate{gap}."
    )


def _written(changes: Mapping[str, timedelta]) -> str:
    return "'train: {" + ", ".join(f"{name}: {length / DAY:g} days" for name, length in changes.items()) + "}'"


def _blocks_of_test(spec: ModelSpec) -> list[int | None]:
    every = spec.partitions.every
    return [
        _split_of(spec, every.containing(day, spec.timezone, spec.partitions.cutoff))
        for day in _days_of_training(every)
    ]


def _days_of_training(every: Every) -> list[datetime]:
    """Return instants at which to check the window: one per month where the length of months matters, else one."""
    months = range(1, 13) if every in (Every.WEEK, Every.MONTH) else (7,)
    return [datetime(2024, month, 15, 12, tzinfo=UTC) for month in months]


def _split_of(spec: ModelSpec, partition: Partition) -> int | None:
    """Return the number of time blocks in the test set of a training; None if nothing is left to train on."""
    partitions = tuple(training_window(spec, partition))
    try:
        plan = plan_split(spec, partitions, partition.cutoff)
    except NotTrainable:
        return None
    return len({day_of(item.key) for item in partitions if plan.set_of(item.interval.start) == "test"})


def _queries(spec: ModelSpec) -> Iterator[tuple[str, list[str]]]:
    yield spec.source.features, wanted_features(spec)
    yield spec.source.labels, wanted_labels(spec)


def _described(
    workspace: Workspace, spec: ModelSpec, file: str, wanted: list[str]
) -> tuple[tuple[Column, ...], list[str]]:
    """Return the columns of a query, and the problems that its plan shows: denied reads, implicit time zone casts."""
    window = _some_parameters()
    denied: list[str] = []
    with open_schema(workspace, spec, timeout_s=30) as source:
        columns = source.columns(file, window)
        require_columns(columns, wanted, spec, file)
        casts = source.zone_problems(file, window)
        if source.cursor is not None and file == spec.source.features:
            bound = bind(workspace.query(file), file)
            denied = [
                *denied_reads(source.cursor, spec, bound, window, columns),
                *useless_denials(source.cursor, spec),
            ]
    return columns, [*(f"{problem}." for problem in denied), *(f"{file}: {problem}" for problem in casts)]


def _some_parameters() -> dict[str, datetime]:
    noon = datetime(2000, 1, 1, 12, tzinfo=UTC)  # any instant will do: the query is described, not run
    return dict(zip(PARAMETERS, (noon, noon + timedelta(days=1), noon), strict=True))


def _query_problems(spec: ModelSpec, file: str, columns: tuple[Column, ...]) -> Iterator[str]:
    given = pa.schema([(column.name, column.arrow) for column in columns])
    if file == spec.source.features:
        yield from _column_problems(spec, given)
    else:
        labels = given.empty_table()
        labelled(labels, labels, spec)  # rejects a type that does not fit the task


def _column_problems(spec: ModelSpec, given: pa.Schema) -> Iterator[str]:
    """Report columns that the features query does not return, and expectations that cannot be evaluated."""
    numeric = feature_schema(spec, given).numeric
    named = {
        "the contract": [name for name in columns_of(spec.contract) if name not in given.names],
        "train.known_ahead": [name for name in spec.train.known_ahead if name not in given.names],
        "train.monotonic": [name for name in spec.train.monotonic if name not in numeric],
    }
    for where, names in named.items():
        for name in names:
            what = "numeric feature" if where == "train.monotonic" else "column"
            yield f"{where} names {name!r}, which is not a {what} of {spec.source.features}."
    for position, expectation in enumerate(spec.contract):
        reason = why_unjudged(expectation, given)
        if reason is not None:
            yield f"contract, entry {position + 1}: {expectation.name} cannot be judged: {reason}."
