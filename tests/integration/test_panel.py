"""The same entity on every day: the customers of a network, through Airflow, and against a key built by hand."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sklearn.metrics import roc_auc_score

from tidemill.checking import check_models
from tidemill.errors import ContractBroken, NotPublished, NotTrainable
from tidemill.hints import cutoff_hints
from tidemill.operations.backfill import Policy, backfill
from tidemill.operations.explain import explain_row
from tidemill.records import EvaluationReport
from tidemill.simulation import Past, simulate
from tidemill.simulation import Policy as Retraining
from tidemill.simulation.trial import try_model
from tidemill.warehouse.predictions.trace import trace
from tidemill.workspace import Workspace
from tidemill_examples.customers import FIRST, LAST, N_CUSTOMERS, generate_customers, load_customers

from .conftest import ROLES, DagRun
from .data import Mill

PROJECT = Path(__file__).parents[2]
MODEL = "customer_churn"
TRAINED, SCORED, NEXT = "2024-05-02", "2024-05-02", "2024-05-03"
CLOSED = "2024-06-10"
"""By then the month of May is closed, and its first nine days have matured."""
FEW, A_HANDFUL = "C001000", "C000300"
"""Last customer of the models under other names: about 900 to train on, and 300 for what is refused before a training."""
KEY = "customer_id || ' ' || day AS row_key"
UNCERTAIN = {"low": None, "high": None, "standard_error": None}
"""Ends of an interval, which depend on whether the rows of a customer count as one observation."""


@pytest.fixture(scope="module")
def network(warehouse: Any, tmp_path_factory: pytest.TempPathFactory) -> Mill:
    """Load the customers, and return the example."""
    owner = warehouse.url("tidemill_owner")
    assert load_customers(owner) == 182 * N_CUSTOMERS + 6 * N_CUSTOMERS
    assert load_customers(owner) == 0
    workspace = Workspace(
        models=PROJECT / "examples" / "models",
        sql=PROJECT / "sql",
        storage=tmp_path_factory.mktemp("network") / "storage",
        tracking_uri=None,
        connection=lambda name: warehouse.url(ROLES[name]),
    )
    return Mill(model=MODEL, workspace=workspace, owner_url=owner)


Write = Callable[..., Mill]


@pytest.fixture(scope="module")
def write(network: Mill, tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Write the example under another name, for few customers and with some texts replaced."""
    folder = tmp_path_factory.mktemp("panels")
    workspace = replace(network.workspace, models=folder / "models", sql=folder / "sql")

    def make(model: str, last: str = FEW, **replaced: tuple[str, str]) -> Mill:
        """Replace a text in ``spec``, ``features`` or ``labels``."""
        mill = Mill(model=model, workspace=workspace, owner_url=network.owner_url)
        spec = (network.workspace.models / f"{MODEL}.yaml").read_text(encoding="utf-8").replace(MODEL, model)
        features, labels = (
            (network.workspace.sql / MODEL / f"{name}.sql").read_text(encoding="utf-8").rstrip()
            for name in ("features", "labels")
        )
        texts = {
            "spec": spec,
            "features": f"{features} AND customer_id <= '{last}'",
            "labels": f"{labels} AND d.customer_id <= '{last}'",
        }
        for name, (old, new) in replaced.items():
            assert old in texts[name]
            texts[name] = texts[name].replace(old, new)
        mill.write(**texts)
        return mill

    return make


Trained = tuple[Mill, dict[str, dict[str, Any]]]


def live(mill: Mill) -> Trained:
    """Train, score three days and monitor from the last; return the records of the training, too."""
    trained = mill.train(TRAINED, shown=False)
    for day in (SCORED, NEXT, CLOSED):
        mill.predict(day)
    mill.monitor(CLOSED, shown=False)
    return mill, trained


@pytest.fixture(scope="module")
def panel(write: Write) -> Trained:
    """The example for few customers, after its training and three days. Tests only read it."""
    return live(write("by_time"))


def composite(write: Write) -> Mill:
    """Return the same model with a key built by hand, unique in the whole window."""
    return write(
        "by_composite",
        spec=("entity_key: customer_id", "entity_key: row_key"),
        features=("    customer_id,\n", f"    {KEY},\n"),
        labels=(
            "    d.customer_id,\n    CAST(d.day AS timestamp) AT TIME ZONE 'Europe/Berlin' AS scored_day,\n",
            "    d.customer_id || ' ' || d.day AS row_key,\n",
        ),
    )


# ---------------------------------------------------------------- through Airflow


def test_customers_are_trained_on_scored_and_judged_through_airflow(write: Write, dag_run: DagRun) -> None:
    mill = write("through_airflow")
    ended = dag_run("train", mill, partition=TRAINED)
    assert ended["state"] == "success", ended["log"]
    ((verdict, reasons),) = mill.sql("SELECT verdict, reasons FROM tidemill.decision WHERE model = '{m}'")
    assert verdict == "accept", reasons
    ended = dag_run("predict", mill, scheduled=SCORED)
    assert ended["state"] == "success", ended["log"]
    done = backfill(mill.spec, NEXT, "2024-05-10", mill.workspace, policy=Policy(kind="live_then"))
    assert not done.failed
    mill.predict(CLOSED)
    ended = dag_run("monitor", mill, scheduled=CLOSED)
    assert ended["state"] == "success", ended["log"]
    published = mill.sql("SELECT scored_day, count(DISTINCT customer_id) FROM predictions.{m} GROUP BY 1 ORDER BY 1")
    berlin = ZoneInfo("Europe/Berlin")
    days = [*(date(2024, 5, day) for day in range(2, 11)), date(2024, 6, 10)]
    loaded = mill.sql(
        "SELECT day, count(*) FROM demo_network.customer_day WHERE customer_id <= %s AND day = ANY(%s)"
        " GROUP BY 1 ORDER BY 1",
        FEW,
        days,
    )
    assert [day for day, _ in loaded] == days
    assert published == [(datetime(day.year, day.month, day.day, tzinfo=berlin), count) for day, count in loaded]
    joined = mill.sql(
        "SELECT p.partition, p.score, m.churned FROM predictions.{m} p JOIN demo_network.customer_month m"
        " ON m.customer_id = p.customer_id AND m.month = '2024-05-01' WHERE p.partition <= '2024-05-09'"
    )
    realised = dict(
        mill.sql(
            "SELECT partition, value FROM tidemill.metric WHERE model = '{m}' AND part = 'performance'"
            " AND name = 'roc_auc' AND slice IS NULL"
        )
    )
    assert len(realised) == 7  # the newest mature partitions
    for key, value in realised.items():
        truth, score = zip(*[(churned, score) for day, score, churned in joined if day == key], strict=True)
        assert value == pytest.approx(roc_auc_score(truth, score), abs=1e-9)


def test_a_customer_is_traced_and_explained_on_the_newest_day_or_the_one_asked_for(panel: Trained) -> None:
    mill, _ = panel
    url, spec = mill.workspace.connection("warehouse"), mill.spec
    ((customer,),) = mill.sql(
        "SELECT min(customer_id) FROM predictions.{m} WHERE partition = '2024-06-10'"
        " AND customer_id IN (SELECT customer_id FROM predictions.{m} WHERE partition = '2024-05-02')"
    )
    assert trace(url, mill.model, customer)["partition"] == CLOSED
    older = trace(url, mill.model, customer, SCORED)
    ((score,),) = mill.sql(
        "SELECT score FROM predictions.{m} WHERE customer_id = %s AND partition = %s", customer, SCORED
    )
    assert (older["partition"], older["score"]) == (SCORED, score)
    newest, asked = (explain_row(mill.workspace, spec, customer, *key) for key in ((), (SCORED,)))
    assert (newest.partition, asked.partition, asked.score) == (CLOSED, SCORED, score)
    with pytest.raises(NotPublished, match="'by_time' has no published row 'nobody'"):
        trace(url, mill.model, "nobody")


def test_the_example_has_nothing_to_hint_at(network: Mill) -> None:
    assert check_models(network.workspace, [MODEL], source=True) == []
    assert cutoff_hints(network.workspace, [MODEL], source=True) == []


# ---------------------------------------------------------------- against a key built by hand


def test_a_panel_scores_and_measures_as_with_a_composite_key(panel: Trained, write: Write) -> None:
    (by_time, one), (by_hand, other) = panel, live(composite(write))
    for figures in ("metrics", "baselines", "importance"):
        pairs = list(zip(one["evaluate"][figures], other["evaluate"][figures], strict=True))
        assert pairs
        for known, by_itself in pairs:
            assert {**known, **UNCERTAIN} == {**by_itself, **UNCERTAIN}
    auc, auc_by_hand = (records["evaluate"]["metrics"][0] for records in (one, other))
    assert auc["high"] - auc["low"] > auc_by_hand["high"] - auc_by_hand["low"]  # a key by hand hides that
    for count in ("n_train", "n_validation", "n_test", "n_unlabelled", "n_labels", "n_unmatched_labels"):
        assert one["prepare"][count] == other["prepare"][count]
    assert one["prepare"]["n_unlabelled"] == one["prepare"]["n_unmatched_labels"] == 0
    rows, rows_by_hand = (
        mill.sql(f"SELECT {key}, score FROM predictions.{{m}} ORDER BY 1")
        for mill, key in ((by_time, "customer_id || ' ' || partition"), (by_hand, "row_key"))
    )
    assert len(rows) > 1000
    assert rows == rows_by_hand
    measured, measured_by_hand = (
        mill.sql(
            "SELECT part, partition, name, slice, feature, value, low, high FROM tidemill.metric WHERE model = '{m}'"
            " AND part IN ('performance', 'labels', 'skew') ORDER BY 1, 2, 3, 4, 5"
        )
        for mill in (by_time, by_hand)
    )
    assert {part for part, *_ in measured} >= {"performance", "labels"}
    assert repr(measured) == repr(measured_by_hand)  # NaN equals NaN


def test_a_panel_is_built_again_bit_by_bit(panel: Trained) -> None:
    mill, _ = panel
    ((run,),) = mill.sql(
        "SELECT prediction_run_id FROM tidemill.published WHERE model = '{m}' AND partition = %s", SCORED
    )
    record = mill.step("reproduce", "reproduce", TRAINED, prediction_run=run)
    assert {step["verdict"] for step in record["steps"]} == {"bit_equal"}


def test_a_corrected_value_of_one_day_is_skew_of_that_day(panel: Trained, write: Write) -> None:
    skewed = write("skewed_panel")
    skewed.adopt(panel[1], TRAINED)
    skewed.predict(SCORED)
    skewed.predict(CLOSED)
    write(
        "skewed_panel", features=("    fee,\n", f"    CASE WHEN day = '{SCORED}' THEN fee + 1 ELSE fee END AS fee,\n")
    )
    skewed.monitor(CLOSED, shown=False)
    found = dict(
        skewed.sql(
            "SELECT feature, value FROM tidemill.metric WHERE model = '{m}' AND name = 'skew_share' AND feature = ANY(%s)",
            ["fee", "gb_7d"],
        )
    )
    assert found == {"fee": 1.0, "gb_7d": 0.0}


def test_a_trial_and_a_replay_join_by_time_too(panel: Trained, tmp_path: Path) -> None:
    mill, trained = panel
    past = Past(spec=mill.spec, first=TRAINED, last=TRAINED, workspace=mill.workspace)
    tried = try_model(past, tmp_path / "page", n_rows=10**9)
    assert tried.report is not None
    metrics = EvaluationReport.from_dict(trained["evaluate"]).metrics
    assert [repr(item) for item in tried.report.metrics] == [repr(item) for item in metrics]  # NaN equals NaN
    ((realised,),) = mill.sql(
        "SELECT value FROM tidemill.metric WHERE model = '{m}' AND part = 'performance' AND name = 'roc_auc'"
        " AND slice IS NULL AND partition = %s",
        SCORED,
    )
    replayed = simulate(
        Past(spec=mill.spec, first=SCORED, last=SCORED, workspace=mill.workspace), policies=(Retraining.NEVER,)
    )
    (outcome,) = replayed.outcomes
    assert not outcome.stopped
    assert outcome.quality[SCORED] == pytest.approx(realised, abs=1e-12)


# ---------------------------------------------------------------- what is refused


def test_keys_that_repeat_need_the_time_of_the_label(write: Write) -> None:
    panel = write(
        "without_time",
        A_HANDFUL,
        labels=("    CAST(d.day AS timestamp) AT TIME ZONE 'Europe/Berlin' AS scored_day,\n", ""),
    )
    with pytest.raises(ContractBroken, match=r"let without_time/labels\.sql return 'scored_day' too"):
        panel.train(TRAINED)


def test_a_key_twice_on_one_day_is_refused(write: Write) -> None:
    twice = "FROM (SELECT * FROM demo_network.customer_day UNION ALL SELECT * FROM demo_network.customer_day"
    panel = write(
        "twice_a_day",
        A_HANDFUL,
        features=(
            "FROM demo_network.customer_day",
            f"{twice} WHERE day = '2024-02-03' AND customer_id = 'C000009') AS d",
        ),
    )
    with pytest.raises(ContractBroken, match=r"expect_compound_columns_to_be_unique.*2 of [0-9,]+ values break it"):
        panel.train(TRAINED)


def test_two_labels_of_one_day_are_refused(write: Write) -> None:
    panel = write(
        "two_labels",
        A_HANDFUL,
        labels=("m.month = CAST(date_trunc('month', CAST(d.day AS timestamp)) AS date)", "m.month <= d.day"),
    )
    with pytest.raises(NotTrainable, match=r"pair\(s\) of key and time twice, such as 'C00\d{4}' at 2024-"):
        panel.train(TRAINED)


def test_labels_at_another_time_of_the_day_are_named(write: Write) -> None:
    panel = write(
        "at_noon",
        A_HANDFUL,
        labels=("CAST(d.day AS timestamp) AT", "(CAST(d.day AS timestamp) + interval '12 hours') AT"),
    )
    with pytest.raises(NotTrainable, match="whether scored_day is the same instant in both queries"):
        panel.train(TRAINED)


def test_a_time_of_another_type_is_an_error_of_the_check(write: Write) -> None:
    panel = write(
        "as_date",
        A_HANDFUL,
        labels=("CAST(d.day AS timestamp) AT TIME ZONE 'Europe/Berlin' AS scored_day", "d.day AS scored_day"),
    )
    (problem,) = check_models(panel.workspace, [panel.model], source=True)
    assert "as_date/labels.sql: 'scored_day' is of type date, and has to be timestamptz" in problem


# ---------------------------------------------------------------- the rows


def test_every_customer_has_a_row_on_each_day_and_an_outcome_for_each_month() -> None:
    tables = generate_customers()
    days, months = tables.days.to_pandas(), tables.months.to_pandas()
    assert (days.groupby("day")["customer_id"].nunique() == N_CUSTOMERS).all()
    assert (min(days["day"]), max(days["day"])) == (FIRST, LAST)
    assert not months.duplicated(["customer_id", "month"]).any()
    joined = days.groupby("customer_id").agg(first=("day", "min"), months=("months_as_customer", "min"))
    assert (joined.loc[joined["first"] > FIRST, "months"] == 0).all()
    assert (joined.loc[joined["first"] == FIRST, "months"] > 0).mean() > 0.9
    gone = months.loc[months["churned"], ["customer_id", "month"]]
    later = months.merge(gone, on="customer_id", suffixes=("", "_gone"))
    assert (later["month"] <= later["month_gone"]).all()  # who has left does not come back
