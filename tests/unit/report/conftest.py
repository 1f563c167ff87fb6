"""Records of a flight-delay model as it might be, for every test of the report room."""

import math
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tidemill.records import (
    BundleRef,
    Decision,
    EvaluationReport,
    MetricValue,
    SnapshotRef,
    SplitRef,
    Verdict,
)
from tidemill.report.card import CardFacts

NEW_YORK = ZoneInfo("America/New_York")


def metric(value: float, low: float | None = None, high: float | None = None, **more: object) -> MetricValue:
    return MetricValue(**{"name": "roc_auc", "value": value, "low": low, "high": high, "n": 13_345, **more})


@pytest.fixture
def snapshot() -> SnapshotRef:
    return SnapshotRef(
        model="flight_delays",
        purpose="train",
        partition="2013-07-01",
        digest="9f2c61b0" * 8,
        uri="flight_delays/snapshots/9f2c",
        n_rows=80_214,
        size_bytes=3_420_112,
        start=datetime(2013, 4, 2, tzinfo=NEW_YORK),
        end=datetime(2013, 7, 1, tzinfo=NEW_YORK),
        cutoff=datetime(2013, 7, 1, 5, tzinfo=NEW_YORK),
        query_digest="77ab01cd" * 8,
    )


@pytest.fixture
def bundle() -> BundleRef:
    return BundleRef(
        estimator="xgboost",
        digest="c0ffee12" * 8,
        uri="flight_delays/bundles/c0ff",
        size_bytes=412_000,
        fit_s=4.2,
        baseline=False,
        validation_score=0.739,
    )


@pytest.fixture
def evaluation(bundle: BundleRef) -> EvaluationReport:
    return EvaluationReport(
        estimator="xgboost",
        bundle=bundle,
        candidates=(bundle,),
        metrics=(metric(0.742, 0.735, 0.749), metric(math.nan, n=12, slice="carrier=OO")),
        importance=(),
        baselines=(metric(0.242, 0.235, 0.249, slice="prior_rate"), metric(0.071, 0.063, 0.079, slice="hour_rate")),
        champion_release=3,
        champion_difference=metric(0.011, 0.004, 0.018, slice="release 3"),
        champion_saw_test=False,
        n_test=13_345,
        uri="flight_delays/evaluations/c0ff",
    )


@pytest.fixture
def decision() -> Decision:
    return Decision(kind="accept", verdict=Verdict.ACCEPT, reasons=("roc_auc 0.742 is above the minimum 0.62.",))


@pytest.fixture
def facts(snapshot: SnapshotRef, bundle: BundleRef, evaluation: EvaluationReport, decision: Decision) -> CardFacts:
    split = SplitRef(
        snapshot_digest=snapshot.digest,
        digest="1234abcd" * 8,
        uri="flight_delays/splits/1234",
        n_train=54_211,
        n_validation=12_610,
        n_test=13_345,
        n_unlabelled=0,
        n_immature=0,
        train_start=datetime(2013, 4, 2, tzinfo=NEW_YORK),
        validation_start=datetime(2013, 6, 1, tzinfo=NEW_YORK),
        test_start=datetime(2013, 6, 15, tzinfo=NEW_YORK),
        test_end=datetime(2013, 6, 29, tzinfo=NEW_YORK),
    )
    return CardFacts(
        model="flight_delays",
        description="Will a flight out of New York arrive more than 15 minutes late?",
        owner="data-platform@example.com",
        purpose="Plan gates on the morning of the day.",
        task="binary",
        release_id=4,
        snapshot=snapshot,
        split=split,
        bundle=bundle,
        evaluation=evaluation,
        decision=decision,
        approver="automatic gate",
        code_version="0.1.0-ab12cd34ef56",
        features=("dep_hour", "carrier"),
        parameters={"max_depth": "6"},
        versions={"xgboost": "3.2.0"},
        reproduce=("tidemill train flight_delays --partition 2013-07-01",),
    )
