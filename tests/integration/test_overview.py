"""How models stand, read from a real ledger by the reader's role."""

import pytest

from tidemill.errors import TidemillError
from tidemill.records import Severity
from tidemill.warehouse.overview import Overview

from .data import SCORED, TRAINED, Mill


def overview(mill: Mill) -> Overview:
    return Overview(mill.workspace.connection("warehouse"))


def test_a_model_that_never_ran_is_unknown(mill: Mill) -> None:
    assert overview(mill).model(mill.model) is None
    assert mill.model not in [state.model for state in overview(mill).models()]


def test_a_model_that_has_published_is_fine_and_says_with_what(serving: Mill) -> None:
    serving.predict()
    found = overview(serving).model(serving.model)
    assert found is not None
    assert (found.state.severity, found.state.n_published, found.state.newest) == (None, 1, found.partitions[0])
    assert (found.state.examined, found.state.n_unexamined) == (None, 1)
    champion = serving.promoter.champion(serving.model)
    assert champion is not None
    assert found.state.champion == found.releases[0]
    assert (found.releases[0].release_id, found.releases[0].partition) == (champion.release_id, TRAINED)
    assert found.partitions[0].partition == SCORED
    assert found.partitions[0].contract.startswith(f"{serving.model}/reports/")
    assert found.state in overview(serving).models()


def test_a_step_that_failed_is_open_until_it_has_been_done(serving: Mill) -> None:
    query = serving.workspace.sql / serving.spec.source.features
    whole = query.read_text()
    query.write_text(whole.replace("FROM", "FROM nowhere.", 1))
    with pytest.raises(TidemillError):
        serving.predict()
    broken = overview(serving).model(serving.model).state
    assert [(item.chain, item.step, item.partition) for item in broken.failures] == [("predict", "extract", SCORED)]
    assert (broken.severity, broken.failures[0].by_schedule) == (Severity.WARN, False)  # a person has started it
    query.write_text(whole)
    serving.predict()
    assert overview(serving).model(serving.model).state.severity is None


def test_the_evidence_of_a_release_is_that_of_the_gate(serving: Mill) -> None:
    champion = serving.promoter.champion(serving.model)
    found = overview(serving).release(serving.model, champion.release_id)
    assert (found.decision.verdict, found.snapshot.digest) == (champion.verdict, champion.snapshot_digest)
    assert found.evaluation.to_dict() == champion.evidence
    assert overview(serving).release(serving.model, champion.release_id + 10_000) is None


def test_the_drift_of_each_feature_is_that_of_the_newest_monitoring(serving: Mill) -> None:
    serving.predict()
    assert overview(serving).model(serving.model).drift == ()
    serving.monitor()
    serving.monitor()
    found = overview(serving).model(serving.model).drift
    rows = serving.sql(
        "SELECT feature, value FROM tidemill.metric WHERE name = 'psi' AND part = 'drift' AND feature IS NOT NULL "
        f"AND run_id = (SELECT max(run_id) FROM tidemill.metric WHERE model = '{serving.model}' AND name = 'psi')"
    )
    assert {(item.feature, item.distance) for item in found} == set(rows)
    assert {item.partition for item in found} == {SCORED}
    assert sum(item.importance for item in found) == pytest.approx(1)
    assert all(item.threshold > 0 for item in found)
