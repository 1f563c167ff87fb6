"""How models stand, read from a real ledger by the reader's role."""

from contextlib import closing
from datetime import UTC, datetime

import psycopg2
import pytest

from tidemill.errors import TidemillError
from tidemill.records import Severity
from tidemill.warehouse import overview as reading
from tidemill.warehouse.overview import Overview
from tidemill.warehouse.statements import execute

from .data import SCORED, TRAINED, Mill


def overview(mill: Mill) -> Overview:
    return Overview(mill.workspace.connection("warehouse"))


def test_a_model_that_never_ran_is_unknown(mill: Mill) -> None:
    assert overview(mill).model(mill.model) is None
    assert mill.model not in overview(mill).names()


def test_a_model_that_has_published_is_fine_and_says_with_what(serving: Mill) -> None:
    serving.predict()
    found = overview(serving).model(serving.model)
    assert found is not None
    assert (found.state.severity, found.n_published, found.state.newest) == (None, 1, found.partitions[0])
    assert (found.state.examined, found.state.n_unexamined) == (None, 1)
    champion = serving.promoter.champion(serving.model)
    assert champion is not None
    assert found.state.champion == found.releases[0]
    assert (found.releases[0].release_id, found.releases[0].partition) == (champion.release_id, TRAINED)
    assert found.partitions[0].partition == SCORED
    assert found.partitions[0].contract.startswith(f"{serving.model}/reports/")
    assert found.state in overview(serving).states(overview(serving).names())


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


def test_all_models_are_judged_as_each_is_alone_by_the_same_number_of_queries(
    serving: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving.predict()
    found = Overview(serving.workspace.connection("warehouse"), datetime(2024, 3, 27, tzinfo=UTC))
    names, asked = found.names(), list[str]()
    monkeypatch.setattr(
        reading, "execute", lambda cursor, name, **values: (asked.append(name), execute(cursor, name, **values))
    )
    together = found.states(names)
    n_queries = len(asked)
    asked.clear()
    assert [state.model for state in together] == list(names)
    for state in together:
        assert repr(found.states([state.model])) == repr((state,))  # NaN equals nothing, not even itself
    assert len(names) > 1
    assert len(asked) == n_queries * len(names)


def test_hundreds_of_features_leave_those_that_matter(serving: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    serving.predict()
    serving.monitor()
    rows = serving.sql(
        "SELECT feature FROM tidemill.metric WHERE model = '{m}' AND part = 'drift' AND name = 'importance_share'"
        " ORDER BY value DESC, feature"
    )
    monkeypatch.setattr(reading, "N_FEATURES", 3)
    found = overview(serving).model(serving.model).drift
    assert {item.feature for item in found} == {feature for (feature,) in rows[:3]}


def test_the_repeated_hour_of_autumn_has_its_place_in_time(serving: Mill) -> None:
    hours = ["2024-10-27T01+0200", "2024-10-27T02+0200", "2024-10-27T02+0100", "2024-10-27T03+0100"]
    model = serving.model
    with closing(psycopg2.connect(serving.owner_url)) as connection, connection.cursor() as cursor:  # never committed
        cursor.execute("SELECT tidemill.declare_model(%s, 'row_id', 'at', 'binary')", (model,))
        cursor.execute(
            "INSERT INTO tidemill.run (model, chain, step, partition, code_version, spec_digest)"
            " VALUES (%s, 'predict', 'score', '', '', '') RETURNING run_id",
            (model,),
        )
        (run_id,) = cursor.fetchone()
        for examined, hour in zip([None, *hours], hours, strict=False):
            cursor.execute(
                "INSERT INTO tidemill.prediction_run (model, partition, release_id, snapshot_digest, token, threshold, task,"
                " run_id) SELECT model, %s, release_id, snapshot_digest, 1, 0.5, 'binary', %s FROM tidemill.release"
                " WHERE model = %s ORDER BY release_id LIMIT 1 RETURNING prediction_run_id",
                (hour, run_id, model),
            )
            cursor.execute("INSERT INTO tidemill.published VALUES (%s, %s, %s)", (model, hour, *cursor.fetchone()))
            execute(cursor, "model_states", models=[model], limit=9)
            assert cursor.fetchone()[1:3] == (examined, 1)
            cursor.execute(
                "INSERT INTO tidemill.examination (model, partition, parts, findings, run_id)"
                " VALUES (%s, %s, '{freshness}', '[]', %s)",
                (model, hour, run_id),
            )
            execute(cursor, "score_dependencies", model=model)
            assert hour in cursor.fetchone()[-1]
        execute(cursor, "newest_examinations", model=model, limit=9)
        assert [row[0] for row in cursor.fetchall()] == hours[::-1]
        for hour, weights in {hours[1]: (0.9, 0.1), hours[2]: (0.1, 0.9)}.items():
            cursor.execute(
                "INSERT INTO tidemill.metric (model, part, partition, run_id, feature, name, value, as_of)"
                " SELECT %s, 'drift', %s, %s, feature, name, value, now()"
                " FROM (VALUES ('earlier', 'psi', 0.0), ('later', 'psi', 0.0),"
                " ('earlier', 'importance_share', %s), ('later', 'importance_share', %s)) figure (feature, name, value)",
                (model, hour, run_id, *weights),
            )
        execute(cursor, "feature_drift", model=model, partitions=hours, limit=1)
        assert {row[0] for row in cursor.fetchall()} == {"later"}
        execute(cursor, "published_inputs", model=model, until=hours[1], limit=9)
        assert [row[0] for row in cursor.fetchall()] == hours[1::-1]
        execute(cursor, "newest_partitions", models=[model], partition=None, limit=2)
        assert [row[1] for row in cursor.fetchall()] == hours[:1:-1]
        for before, hour, after in zip([None, *hours], hours, [*hours[1:], None], strict=False):
            execute(cursor, "partition_place", model=model, partition=hour)
            assert cursor.fetchone()[1:] == (before, after)
