"""What Airflow shows the person who decides on withheld rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG

from tidemill.records import Decision, PredictionRef, Verdict
from tidemill.report.approval import publication_request
from tidemill.spec import Unanswered, Withhold
from tidemill_airflow.operators import InspectOperator, StepOperator
from tidemill_airflow.params import RunParams, trigger_form

PREDICTION = PredictionRef(
    model="flight_delays", partition="2013-07-01", prediction_run_id=7, release_id=3, token=1, n_rows=900, checksum="a",
    mean_score=0.25,
)  # fmt: skip
REJECTED = Decision(kind="inspect", verdict=Verdict.REJECT, reasons=("Feature 'temp' lacks values.",))


def task(withhold: Withhold | None = None) -> InspectOperator:
    with DAG("flight_delays_predict", schedule=None, params=trigger_form(*RunParams.model_fields)) as dag:
        found = InspectOperator(
            task_id="inspect", model="flight_delays", prediction=PREDICTION.to_dict(), snapshot={}, withhold=withhold
        )
    found.dag = dag
    return found


@pytest.mark.parametrize(
    ("then", "default"), [(Unanswered.KEEP, "Keep withheld"), (Unanswered.PUBLISH_MARKED, "Publish")]
)
def test_silence_does_what_the_spec_declares_after_its_time(then: Unanswered, default: str) -> None:
    asked = task(Withhold(after=timedelta(hours=6), then=then))
    assert (asked.options, asked.defaults, asked.response_timeout) == (
        ["Publish", "Discard", "Keep withheld"],
        [default],
        timedelta(hours=6),
    )


@pytest.mark.parametrize(
    ("chosen", "user", "answer"),
    [
        ("Publish", {"id": "1", "name": "kim"}, (True, "kim")),
        ("Discard", {"id": "1", "name": "kim"}, (False, "kim")),
        ("Publish", None, (True, "")),
        ("Keep withheld", None, None),
    ],
)
def test_an_answer_reaches_the_step(
    monkeypatch: pytest.MonkeyPatch, chosen: str, user: dict[str, str] | None, answer: tuple[bool, str] | None
) -> None:
    asked = task(Withhold())
    monkeypatch.setattr(StepOperator, "execute", lambda self, context: self.answer)
    event = {
        "chosen_options": [chosen], "params_input": {"comment": "Seen."}, "responded_by_user": user,
        "responded_at": datetime(2013, 7, 1, 9, tzinfo=UTC),
    }  # fmt: skip
    found = asked.execute_complete({}, event)
    assert (None if found is None else (found["approved"], found["by"])) == answer


@pytest.mark.parametrize(
    ("decision", "dry_run", "asks"),
    [
        ({"kind": "inspect", "verdict": "reject"}, False, True),
        ({"kind": "inspect", "verdict": "reject"}, True, False),
        ({"kind": "inspect", "verdict": "accept"}, False, False),
        ({"kind": "inspect", "verdict": "not_enough_evidence"}, False, False),
        ({"kind": "publish", "verdict": "reject"}, False, False),
    ],
)
def test_a_person_is_asked_about_withheld_rows_only(
    monkeypatch: pytest.MonkeyPatch, decision: dict[str, Any], dry_run: bool, asks: bool
) -> None:
    asked, forms = task(Withhold()), []
    monkeypatch.setattr(StepOperator, "execute", lambda self, context: {"reasons": ["x"], **decision})
    monkeypatch.setattr(InspectOperator, "_notify", lambda self, context: None)
    monkeypatch.setattr(InspectOperator, "ask", lambda self, context, form, instead: forms.append(form))
    asked.execute({"params": {"dry_run": dry_run}, "dag": asked.dag})
    assert bool(forms) is asks


def test_it_waits_as_airflow_s_own_operator_does() -> None:
    assert issubclass(InspectOperator, HITLOperator)


def test_the_form_names_rows_release_and_reasons() -> None:
    form = publication_request(PREDICTION, REJECTED)
    for part in ("900 rows of partition 2013-07-01", "release 3", "prediction run 7", "temp", "lacks values"):
        assert part in form
