"""The operators: each is one step, takes what the step takes, and says clearly what went wrong."""

import importlib
import inspect
import pkgutil
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException, DagRunTriggerException

from tidemill.errors import PartitionError, RetrainingFailed, SettingsError
from tidemill.runtime.declarations import STEPS
from tidemill.runtime.limits import GRACE, execution_timeout, limit_of
from tidemill_airflow import operators
from tidemill_airflow.operators import (
    CutOperator,
    LookBackOperator,
    ResolveReleaseOperator,
    ScoreAgainOperator,
    StepOperator,
    TrainOperator,
    TriggerTrainingOperator,
)
from tidemill_airflow.operators.step import _lines
from tidemill_airflow.params import RunParams, trigger_form
from tidemill_airflow.quiet import without_chatter

from .contexts import context

OPERATORS = [item for item in vars(operators).values() if inspect.isclass(item) and issubclass(item, StepOperator)]
STEP_OPERATORS = [operator for operator in OPERATORS if hasattr(operator, "step")]
MODELS = Path(__file__).parents[2] / "dags" / "models"


def new(operator: type[StepOperator]) -> StepOperator:
    return operator(task_id="task", model="flight_delays", **dict.fromkeys(operator.template_fields, "value"))


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIDEMILL_MODELS", str(MODELS))
    monkeypatch.setenv("TIDEMILL_STORAGE", str(tmp_path))


def test_every_step_has_one_operator() -> None:
    assert sorted(operator.step for operator in STEP_OPERATORS) == sorted(STEPS)


@pytest.mark.parametrize("operator", STEP_OPERATORS)
def test_an_operator_gives_its_step_exactly_what_it_takes(operator: type[StepOperator]) -> None:
    task = new(operator)
    of_other_callers = {"evaluate": {"shown"}, "run_tests": {"rows", "junit"}}.get(operator.step, set())
    assert {*task.template_fields, *task.chosen(RunParams())} == set(STEPS[operator.step].inputs) - of_other_callers


@pytest.mark.parametrize("operator", STEP_OPERATORS)
def test_nobody_chooses_in_a_form_what_another_task_gives(operator: type[StepOperator]) -> None:
    assert set(operator.template_fields) & set(new(operator).chosen(RunParams())) == set()


@pytest.mark.parametrize("operator", STEP_OPERATORS)
def test_an_operator_keeps_its_arguments_untouched(operator: type[StepOperator]) -> None:
    task = new(operator)
    assert {name: getattr(task, name) for name in task.template_fields} == dict.fromkeys(task.template_fields, "value")


@pytest.mark.parametrize("operator", STEP_OPERATORS)
def test_a_task_ends_after_its_step_has_ended_itself(operator: type[StepOperator]) -> None:
    timeout = new(operator).execution_timeout
    assert timeout is not None
    assert timeout > limit_of(operator.step) + GRACE


def test_a_mapped_task_has_the_limit_of_its_step() -> None:
    with DAG("flight_delays_train", schedule=None):
        mapped = TrainOperator.partial(task_id="train", model="flight_delays", split={}).expand(estimator=["xgboost"])
    task = mapped.unmap({"estimator": "xgboost"})
    assert task.execution_timeout == execution_timeout("train")


@pytest.mark.parametrize("operator", STEP_OPERATORS)
def test_an_operator_documents_each_of_its_arguments(operator: type[StepOperator]) -> None:
    page = inspect.getdoc(operator) or ""  # Python 3.13 strips the indentation, earlier ones do not
    assert [name for name in operator.template_fields if f"\n{name} : " not in page] == []


@pytest.mark.parametrize("operator", STEP_OPERATORS)
def test_an_operator_is_imported_by_its_own_name(operator: type[StepOperator]) -> None:
    assert getattr(operators, operator.__name__) is operator
    assert operator.__name__.removesuffix("Operator").lower() == operator.step.replace("_", "")


def test_the_room_offers_every_operator() -> None:
    modules = [
        importlib.import_module(f"{operators.__name__}.{found.name}")
        for found in pkgutil.iter_modules(operators.__path__)
    ]
    written = {name for module in modules for name in module.__all__} - {"declared_operators"}
    assert set(operators.__all__) == written | {operator.__name__ for operator in STEP_OPERATORS}


def test_an_operator_without_an_input_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="missing keyword argument 'split'"):
        TrainOperator(task_id="train", model="flight_delays", estimator="xgboost")


def test_an_operator_with_an_unknown_input_is_refused() -> None:
    with pytest.raises(TypeError, match="estimators"):
        TrainOperator(task_id="train", model="flight_delays", split={}, estimator="xgboost", estimators=[])


# ---------------------------------------------------------------- running


@pytest.mark.usefixtures("workspace")
def test_a_bad_partition_ends_the_task_with_its_message() -> None:
    with pytest.raises(PartitionError, match="'nonsense' is not a day"):
        new(ResolveReleaseOperator).execute(context(partition="nonsense"))


@pytest.mark.usefixtures("workspace")
def test_the_message_is_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PartitionError):
        new(ResolveReleaseOperator).execute(context(partition="2014-05-05"))
    assert capsys.readouterr().out.count("PartitionError: Partition '2014-05-05' lies outside the data of model") == 1


@pytest.mark.usefixtures("workspace")
def test_a_key_of_the_configuration_that_the_dag_does_not_take_ends_the_task() -> None:
    with pytest.raises(SettingsError, match="unknown parameter 'dryrun'"):
        new(ResolveReleaseOperator).execute(context(partition="2013-07-09", dryrun=True))


def test_a_missing_storage_ends_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEMILL_STORAGE", raising=False)
    with pytest.raises(SettingsError, match="TIDEMILL_STORAGE is not set"):
        new(ResolveReleaseOperator).execute(context(partition="2013-07-09"))


def test_a_record_is_logged_in_short_lines() -> None:
    record = {
        "n_rows": 3,
        "decision": {"verdict": "reject", "reasons": ["Too young.", "No drift."]},
        "metrics": [{"name": "roc_auc"}, {"name": "log_loss"}],
        "findings": [],
    }
    assert list(_lines(record)) == [
        ("n_rows", 3),
        ("decision.verdict", "reject"),
        ("decision.reasons", "Too young."),
        ("decision.reasons", "No drift."),
        ("metrics", "2, in the task's XCom"),
        ("findings", []),
    ]


def test_the_known_chatter_of_libraries_is_kept_out() -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with without_chatter():
            warnings.warn("The `airflow.utils.timezone.y0` attribute is deprecated.", FutureWarning, stacklevel=1)
    assert heard == []


def test_a_warning_of_another_library_passes() -> None:
    with pytest.warns(FutureWarning, match="will change"), without_chatter():
        warnings.warn("The default will change.", FutureWarning, stacklevel=1)


# ---------------------------------------------------------------- triggering a training


def trigger(verdict: str) -> TriggerTrainingOperator:
    decision = {"verdict": verdict, "reasons": ["The champion is old.", "It drifts."], "decision_id": 7}
    return TriggerTrainingOperator(task_id="trigger_training", model="flight_delays", decision=decision)


def test_a_training_is_not_triggered_when_none_is_due() -> None:
    with pytest.raises(AirflowSkipException, match=r"No retraining is due: The champion is old\. It drifts\."):
        trigger("reject").execute(context(partition="2013-07-09"))


def test_a_training_is_not_triggered_in_a_dry_run() -> None:
    with pytest.raises(AirflowSkipException, match="this is a dry run"):
        trigger("accept").execute(context(partition="2013-07-09", dry_run=True))


def test_a_slip_in_dry_run_triggers_nothing() -> None:
    with pytest.raises(SettingsError, match="did you mean 'dry_run'"):
        trigger("accept").execute(context(partition="2013-07-09", dryrun=True))


def found_by_a_second_attempt(state: str) -> None:
    told = context(partition="2013-07-09")
    told["ti"].get_dr_count = lambda dag_id, run_ids: int(run_ids == ["retrain__2013-07-09__7"])
    told["ti"].get_dagrun_state = lambda dag_id, run_id: state
    told["ti"].get_dag = lambda dag_id: SimpleNamespace(is_paused=True)
    trigger("accept").execute(told)


@pytest.mark.usefixtures("workspace")
def test_a_second_attempt_finds_that_the_first_one_s_training_has_failed() -> None:
    with pytest.raises(RetrainingFailed, match="Run retrain__2013-07-09__7 of flight_delays_train has failed"):
        found_by_a_second_attempt("failed")


@pytest.mark.usefixtures("workspace")
def test_a_second_attempt_is_content_with_the_first_one_s_training() -> None:
    found_by_a_second_attempt("success")


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("state", ["queued", "running"])
def test_nobody_waits_for_a_training_whose_dag_is_paused(state: str) -> None:
    with pytest.raises(
        RetrainingFailed, match=rf"was paused while its run .* is {state}.*Unpause it, and clear this task"
    ):
        found_by_a_second_attempt(state)


def test_triggering_names_the_train_dag_of_the_model() -> None:
    assert trigger("accept").trigger_dag_id == "flight_delays_train"


def test_the_decision_is_resolved_before_triggering() -> None:
    assert "decision" in TriggerTrainingOperator.template_fields


def test_what_is_triggered_fits_the_form_of_the_train_dag() -> None:
    with DAG("flight_delays_train", schedule=None, params=trigger_form("partition", "reason")) as dag:
        assert RunParams.check({"partition": "2013-07-09", "reason": "It drifts."}, dag.params)


def test_more_shards_than_airflow_maps_are_refused_with_what_would_do() -> None:
    task = CutOperator(task_id="cut", snapshot={"n_rows": 10_000_000}, shard_rows=5_000)
    with pytest.raises(
        SettingsError, match=r"2,000 tasks; Airflow maps at most 1,024.*'predict.shard_rows'.* 9,766 or"
    ):
        task.execute(context())
    assert len(CutOperator(task_id="cut", snapshot={"n_rows": 10_000_000}, shard_rows=9_766).execute(context())) == 1024


CHANGED = {
    "partition": "2013-07-08",
    "release_id": 3,
    "simulated": False,
    "snapshot_digest": "ab" * 32,
    "found": "1 rows added, 0 removed, 0 changed.",
}


def score_again(n_runs: int) -> tuple[ScoreAgainOperator, str]:
    """Execute the task while that many runs of that name exist; return how it ended, too."""
    task = ScoreAgainOperator(task_id="score_again", model="flight_delays", changed=CHANGED)
    given = context()
    given["ti"] = SimpleNamespace(get_dr_count=lambda *args, **named: n_runs)
    try:
        task.execute(given)
    except DagRunTriggerException:
        return task, "triggered"
    return task, "nothing"


def test_a_changed_partition_is_scored_again_by_the_release_that_scored_it() -> None:
    task, ended = score_again(n_runs=0)
    assert (ended, task.trigger_dag_id, task.conf) == (
        "triggered",
        "flight_delays_predict",
        {"partition": "2013-07-08", "release": 3, "simulate": False},
    )
    with DAG("d", schedule=None, params=trigger_form("partition", "release", "simulate")) as dag:
        assert RunParams.check(task.conf, dag.params)


def test_a_second_attempt_does_not_score_a_changed_partition_twice() -> None:
    first, second = score_again(n_runs=0), score_again(n_runs=1)
    assert second[1] == "nothing"
    assert first[0].trigger_run_id == second[0].trigger_run_id == "look_back__2013-07-08__abababababab__manual__1"


@pytest.mark.parametrize("chosen", [{"dry_run": True}, {"release": 3}, {"cutoff": "2013-07-08T05:00:00Z"}])
def test_a_run_with_choices_of_a_person_does_not_look_back(chosen: dict[str, object]) -> None:
    assert LookBackOperator(task_id="look_back", model="flight_delays").execute(context(**chosen)) == []
