"""A release in the shadow of the champion: scored and compared, promoted, dropped or returned, and killed in between."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from psycopg2.errors import CheckViolation
from sklearn.metrics import roc_auc_score

from tidemill.faults import VARIABLE, InjectedFault
from tidemill.operations.rollback import promote_by_hand
from tidemill.records import Decision, MetricValue, Role, Shadow, ShadowRef, Verdict
from tidemill.retention.runs import due_runs
from tidemill.spec import Retention
from tidemill.warehouse.connections import transaction
from tidemill.warehouse.ledger import Measurement
from tidemill.warehouse.releases.listing import list_releases
from tidemill.warehouse.releases.shadows import Shadows

from .conftest import DagRun
from .data import SPEC, Mill

Trained = dict[str, dict[str, Any]]
START = "2024-03-06"
DAYS = [f"2024-03-{day:02}" for day in range(7, 19)]  # the clocks change on the 10th
STEP = """
import json, sys
from tidemill.runtime.run import run_step
from tidemill.workspace import Workspace
model, step, partition, inputs = sys.argv[1:]
run_step("monitor", step, model, partition, json.loads(inputs), workspace=Workspace.from_environment())
"""


def spec_with(accept: str) -> str:
    return SPEC.replace("slices: [carrier]", f"slices: [carrier], {accept}")


def bundle_of(trained: Trained, name: str) -> Trained:
    """The records of a training, as if another of its candidates had been chosen."""
    candidates = trained["evaluate"]["candidates"]
    chosen = next(item for item in candidates if item["estimator"] == name)
    return trained | {"evaluate": trained["evaluate"] | {"bundle": chosen}}


def served_by(mill: Mill, trained: Trained, name: str) -> int:
    """Let one of the candidates serve from the start."""
    release_id = mill.register(bundle_of(trained, name), "2024-03-05")
    mill.promote(release_id, None, "2024-03-05")
    return release_id


def shadows(mill: Mill) -> Shadows:
    return Shadows(mill.workspace.connection("tidemill_promoter"))


def put_in_shadow(mill: Mill, release_id: int, against: int, role: Role = Role.CHALLENGER, end: str = DAYS[-1]) -> bool:
    release = mill.promoter.release(mill.model, release_id)
    assert release is not None
    wanted = Shadow(
        shadow_id=0,
        release_id=release_id,
        against=against,
        role=role,
        decision_id=release.decision_id if role is Role.CHALLENGER else None,
        start=mill.spec.partition(START).cutoff,
        end=mill.spec.partition(end).cutoff,
        margin=0.02,
    )
    return shadows(mill).start(mill.model, wanted)


def score_in_shadow(mill: Mill, partition: str) -> dict[str, Any]:
    collected = mill.step("monitor", "collect", partition)
    return mill.step("monitor", "shadow", partition, collected=collected)


def settle(mill: Mill, partition: str) -> dict[str, Any]:
    return mill.step("monitor", "settle", partition, shadow=score_in_shadow(mill, partition))


def killed(mill: Mill, partition: str, shadow: dict[str, Any], fault: str) -> int:
    """Settle in a process that is killed on the way."""
    arguments = [sys.executable, "-c", STEP, mill.model, "settle", partition, json.dumps({"shadow": shadow})]
    environment = os.environ | mill.environment | {VARIABLE: fault}
    return subprocess.run(arguments, env=environment, check=False, capture_output=True).returncode


def states(mill: Mill) -> list[tuple[str, str]]:
    return mill.sql("SELECT role, state FROM tidemill.shadow WHERE model = '{m}' ORDER BY shadow_id")


def champion(mill: Mill) -> int:
    found = mill.promoter.champion(mill.model)
    assert found is not None
    return found.release_id


def assert_gain_is_the_difference_of_both_models_on_the_labels(mill: Mill, day: str) -> None:
    rows = mill.sql(
        "SELECT r.status, p.score, s.late FROM tidemill.prediction p JOIN tidemill.prediction_run r USING (prediction_run_id)"
        " JOIN {t} s ON s.parcel_id = p.entity_key WHERE r.model = '{m}' AND r.partition = %s",
        day,
    )
    auc = {}
    for wanted in ("published", "written"):
        of = [(late, score) for status, score, late in rows if status == wanted]
        auc[wanted] = roc_auc_score([late for late, _ in of], [score for _, score in of])
    measured = mill.sql(
        "SELECT value FROM tidemill.metric WHERE model = '{m}' AND part = 'shadow' AND partition = %s", day
    )
    assert measured == [(pytest.approx(auc["written"] - auc["published"]),)]


def measure_gains(mill: Mill, gains: list[float]) -> Shadow:
    """Record a gain for each day, and return what scores in the shadow."""
    running = shadows(mill).running(mill.model)
    assert running is not None
    run_id = mill.start_run(DAYS[-1], "shadow")
    for day, gain in zip(DAYS, gains, strict=False):
        at = Measurement(
            model=mill.model,
            partition=day,
            part="shadow",
            release_id=running.release_id,
            as_of=mill.spec.partition(DAYS[-1]).cutoff,
            run_id=run_id,
        )
        mill.ledger.record_metrics(at, [MetricValue(name=f"gain_of_shadow_{running.shadow_id}", value=gain)])
    return running


def settle_on(mill: Mill, gains: list[float]) -> dict[str, Any]:
    """Settle as if each day had been measured with a gain."""
    running = measure_gains(mill, gains)
    return mill.step("monitor", "settle", DAYS[-1], shadow=ShadowRef(shadow=running).to_dict())


GOOD = [0.1, 0.12, 0.11, 0.09, 0.1, 0.13, 0.1, 0.11]
BAD = [-gain for gain in GOOD]


@pytest.fixture
def trained(trained_mill: tuple[Mill, Trained]) -> Trained:
    return trained_mill[1]


@pytest.fixture
def challenged(mill: Mill, trained: Trained) -> tuple[Mill, int, int]:
    """A model whose poor champion has published two weeks, with a better challenger in the shadow since their start."""
    mill.write(spec_with("watch: 10 days"))
    poor = served_by(mill, trained, "shallow_tree")
    for day in DAYS:
        mill.predict(day)
    better = mill.register(trained, START)
    assert put_in_shadow(mill, better, poor)
    return mill, poor, better


def test_challenger_scores_beside_the_champion_and_wins_although_it_is_killed_on_the_way(
    challenged: tuple[Mill, int, int],
) -> None:
    mill, poor, better = challenged
    before = mill.view(DAYS[0])
    few = settle(mill, DAYS[4])
    assert (few["verdict"], few["decision_id"]) == ("not_enough_evidence", None)
    assert mill.view(DAYS[0]) == before
    assert mill.statuses(DAYS[0]) == ["published", "written"]
    listed = {item.release_id: item.live for item in list_releases(mill.workspace.connection("tidemill"), mill.model)}
    assert listed == {poor: "champion", better: "in the shadow until 2024-03-18"}
    with transaction(mill.workspace.connection("tidemill")) as cursor:
        limits = Retention(unpublished="1 day")
        later = mill.spec.partition(DAYS[-1]).shift(mill.spec.partition(DAYS[-1]).cutoff, limits.releases)
        assert due_runs(cursor, mill.model, limits, later.replace(year=2100)) == []
    assert_gain_is_the_difference_of_both_models_on_the_labels(mill, DAYS[0])
    seen = score_in_shadow(mill, DAYS[-1])
    assert seen["scored"] == DAYS[5:-1]
    assert seen["measured"] == DAYS[3:-2]  # the labels of a day are due a day after its end
    assert killed(mill, DAYS[-1], seen, "settle-decided:kill") == -signal.SIGKILL
    assert (champion(mill), states(mill)) == (poor, [("challenger", "running")])
    said = settle(mill, DAYS[-1])
    assert said["verdict"] == "accept"
    assert (champion(mill), states(mill)) == (better, [("challenger", "won"), ("predecessor", "running")])
    assert mill.sql("SELECT count(*) FROM tidemill.decision WHERE model = '{m}' AND kind = 'shadow'") == [(1,)]
    assert mill.promoter.deployments(mill.model)[0].approved_by == "shadow"
    mill.predict("2024-03-19")
    assert set(mill.view("2024-03-19", "release_id")) == {(better,)}


def test_predecessor_returns_with_its_rows_although_it_is_killed_on_the_way(mill: Mill, trained: Trained) -> None:
    mill.write(spec_with("watch: 14 days, republish: true"))
    good = served_by(mill, trained, "logistic_regression")
    mill.predict(DAYS[0])
    poor = mill.register(bundle_of(trained, "shallow_tree"), START)
    mill.promote(poor, good, START)
    for day in DAYS[:2]:
        mill.predict(day)
    assert put_in_shadow(mill, good, poor, Role.PREDECESSOR)
    running = shadows(mill).running(mill.model)
    assert settle_on(mill, GOOD[:7])["verdict"] == "not_enough_evidence"
    at = Measurement(
        model=mill.model,
        partition=DAYS[7],
        part="shadow",
        release_id=good,
        as_of=mill.spec.partition(DAYS[-1]).cutoff,
        run_id=mill.start_run(DAYS[-1], "shadow"),
    )
    assert running is not None
    mill.ledger.record_metrics(at, [MetricValue(name=f"gain_of_shadow_{running.shadow_id}", value=0.1)])
    seen = ShadowRef(shadow=running).to_dict()
    assert killed(mill, DAYS[-1], seen, "settle-rolled-back:kill") == -signal.SIGKILL
    assert (champion(mill), states(mill)) == (good, [("predecessor", "running")])
    assert mill.step("monitor", "settle", DAYS[-1], shadow=seen)["verdict"] == "accept"
    assert states(mill) == [("predecessor", "won")]
    assert {release for day in DAYS[:2] for (release,) in mill.view(day, "release_id")} == {good}
    assert mill.promoter.undone(mill.model) == (poor,)


@pytest.mark.parametrize("role", Role)
def test_a_win_in_the_shadow_is_an_event_of_the_champion_and_of_each_partition_taken_back(
    mill: Mill, trained: Trained, dag_run: DagRun, role: Role
) -> None:
    mill.write(spec_with("watch: 14 days, republish: true"))
    first = served_by(mill, trained, "logistic_regression")
    mill.predict(DAYS[0])
    second = mill.register(bundle_of(trained, "shallow_tree"), START)
    returns = role is Role.PREDECESSOR
    if returns:
        mill.promote(second, first, START)
    mill.predict(DAYS[0])
    mill.predict(DAYS[-1])
    winner, loser = (first, second) if returns else (second, first)
    assert put_in_shadow(mill, winner, loser, role)
    measure_gains(mill, GOOD)
    ended = dag_run("monitor", mill, partition=DAYS[-1])
    assert (champion(mill), ended["state"]) == (winner, "success"), ended["log"]
    rows = mill.sql(
        "SELECT partition, json_build_object('partition', partition, 'release', release_id, 'rows', n_rows, 'digest', checksum)"
        " FROM tidemill.published JOIN tidemill.prediction_run USING (prediction_run_id, model, partition)"
        " WHERE model = '{m}' AND release_id = %s",
        winner,
    )
    found = {event["asset"]: event["extra"] for event in ended["events"]}
    assert found.pop(f"{mill.model}_champion")["release"] == winner
    assert found == ({f"{mill.model}_predictions": {"partitions": dict(rows)}} if returns else {})
    assert {key for key, _ in rows} == ({DAYS[0], DAYS[-1]} if returns else set())


def test_a_promotion_by_hand_starts_one_watch(mill: Mill, trained: Trained) -> None:
    mill.write(spec_with("watch: 14 days, margin: 0.03"))
    before = served_by(mill, trained, "shallow_tree")
    successor = mill.register(trained, START)
    for _ in range(2):  # the second one finishes what a killed one has begun
        promote_by_hand(mill.spec, mill.workspace, successor, force=False, approved_by="ann", reason="For a test.")
    running = shadows(mill).running(mill.model)
    assert running is not None
    assert (running.release_id, running.against, running.margin) == (before, successor, 0.03)
    start = mill.spec.partition(START).cutoff
    assert (running.start, running.end) == (start, mill.spec.partition("2024-03-20").cutoff)  # over the clock change
    assert states(mill) == [("predecessor", "running")]


def test_worse_challenger_is_dropped_and_does_not_return(mill: Mill, trained: Trained) -> None:
    good = served_by(mill, trained, "logistic_regression")
    poor = mill.register(bundle_of(trained, "shallow_tree"), START)
    assert put_in_shadow(mill, poor, good)
    assert not put_in_shadow(mill, mill.register(trained, "2024-03-07"), good)  # one at a time
    assert settle_on(mill, BAD)["verdict"] == "reject"
    assert (champion(mill), states(mill)) == (good, [("challenger", "lost")])
    assert not put_in_shadow(mill, poor, good)  # this judgement has had its time


def test_comparison_is_void_once_another_release_serves(mill: Mill, trained: Trained) -> None:
    poor = served_by(mill, trained, "shallow_tree")
    assert put_in_shadow(mill, mill.register(trained, START), poor)
    other = mill.register(bundle_of(trained, "prior"), "2024-03-08")
    mill.promote(other, poor, "2024-03-08")
    assert "is void" in settle_on(mill, GOOD)["reasons"][0]
    assert (champion(mill), states(mill)) == (other, [("challenger", "void")])


def test_undecided_release_serves_only_once_it_has_won_in_the_shadow(mill: Mill, trained: Trained) -> None:
    poor = served_by(mill, trained, "shallow_tree")
    better = mill.register(trained, START)
    undecided = Decision(kind="accept", verdict=Verdict.NOT_ENOUGH_EVIDENCE, reasons=("Few days.",))
    decision_id = mill.ledger.record_decision(mill.model, START, undecided, {}, mill.start_run(START, "validate_model"))
    mill.sql(
        "INSERT INTO tidemill.judgement SELECT release_id, %s, model, snapshot_digest, split_digest, metric, metric_value,"
        " evidence, learnt_until, known_until, spec_digest, code_version, lock_digest, run_id, requested_by"
        " FROM tidemill.judgement WHERE release_id = %s",
        decision_id,
        better,
    )
    with pytest.raises(CheckViolation, match="the gate has not accepted"):
        mill.promote(better, poor, START)
    assert put_in_shadow(mill, better, poor)
    assert settle_on(mill, GOOD)["verdict"] == "accept"
    assert (champion(mill), states(mill)) == (better, [("challenger", "won")])


@pytest.mark.parametrize("point", ["shadow-before-commit", "shadow-after-commit"])
def test_training_killed_while_its_challenger_enters_lets_it_enter_once(
    mill: Mill, trained: Trained, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor = served_by(mill, trained, "shallow_tree")
    better = mill.register(trained, START)
    monkeypatch.setenv(VARIABLE, f"{point}:raise")
    with pytest.raises(InjectedFault):
        put_in_shadow(mill, better, poor)
    monkeypatch.delenv(VARIABLE)
    put_in_shadow(mill, better, poor)
    assert states(mill) == [("challenger", "running")]


def test_training_puts_its_challenger_into_the_shadow_instead_of_promoting_it(mill: Mill, trained: Trained) -> None:
    poor = served_by(mill, trained, "shallow_tree")
    mill.write(spec_with("shadow: 14 days"))
    records = mill.train(shown=False)
    assert records["validate_model"]["verdict"] == "accept"
    assert (records["register"]["in_shadow"], records["register"]["promoted"]) == (True, False)
    running = shadows(mill).running(mill.model)
    assert running is not None
    assert (running.against, running.role, champion(mill)) == (poor, Role.CHALLENGER, poor)
