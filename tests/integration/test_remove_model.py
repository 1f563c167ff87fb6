"""Removal of a model: only with its spec gone, all of it, at any instant again, and with the audit whole."""

from typing import Any

import pytest
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.doctor.audit import check_audit, check_deployments, check_pointers
from tidemill.doctor.findings import Health
from tidemill.errors import FatalError, SettingsError
from tidemill.faults import VARIABLE, InjectedFault
from tidemill.operations.remove_model import removable, remove_model
from tidemill.warehouse.connections import transaction

from .data import TRAINED, Mill


@pytest.fixture
def published(serving: Mill) -> Mill:
    serving.predict()
    return serving


def without_spec(mill: Mill) -> None:
    """Delete the spec, and end the step in whose name `Mill.adopt` has registered a release."""
    (mill.workspace.models / f"{mill.model}.yaml").unlink()
    mill.sql("UPDATE tidemill.run SET status = 'failed' WHERE model = '{m}' AND status = 'running'")


def removed(mill: Mill) -> None:
    remove_model(mill.workspace, mill.owner_url, mill.model, by="ada", reason="case 17")


def rows_left(mill: Mill) -> dict[str, int]:
    """Count the rows of each table of the ledger that names models, except those of the audit."""
    tables = mill.sql(
        "SELECT table_name FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)"
        " WHERE table_schema = 'tidemill' AND column_name = 'model' AND table_type = 'BASE TABLE' AND table_name <> 'audit'"
    )
    counts = {
        name: mill.sql(f"SELECT count(*) FROM tidemill.\"{name}\" WHERE model = '{{m}}'")[0][0] for (name,) in tables
    }
    return {name: n for name, n in counts.items() if n}


def test_a_removed_model_leaves_its_audit_and_nothing_else(published: Mill) -> None:
    others = published.sql("SELECT count(*) FROM tidemill.run WHERE model <> '{m}'")
    listed = {part.what: part.n for part in removable(published.workspace, published.model)}
    assert (listed["published partitions"], listed["releases"]) == (1, 1)
    assert rows_left(published)
    without_spec(published)
    removed(published)
    assert rows_left(published) == {}
    assert removable(published.workspace, published.model) == ()
    assert not (published.workspace.storage / published.model).exists()
    assert published.sql("SELECT to_regclass('predictions.{m}'), to_regclass('tidemill.prediction_{m}')") == [
        (None, None)
    ]
    assert published.sql("SELECT count(*) FROM tidemill.run WHERE model <> '{m}'") == others
    ((details,),) = published.sql("SELECT details FROM tidemill.audit WHERE model = '{m}' AND event = 'remove'")
    assert (details["by"], details["reason"]) == ("ada", "case 17")
    removed(published)  # again
    assert published.sql("SELECT count(*) FROM tidemill.audit WHERE model = '{m}' AND event = 'remove'") == [(1,)]


def test_a_model_of_the_same_name_may_begin_again_and_the_audit_is_whole(
    published: Mill, trained_mill: tuple[Mill, dict[str, dict[str, Any]]]
) -> None:
    without_spec(published)
    removed(published)
    published.write()
    published.adopt(trained_mill[1])
    published.predict()
    with transaction(published.owner_url) as cursor:
        found = [
            check_audit(cursor),
            check_pointers(cursor, published.model),
            check_deployments(cursor, published.model),
        ]
    assert [item.severity for item in found] == [Health.OK] * 3, found


@pytest.mark.parametrize(
    "point", ["remove-model-tables", "remove-model-before-commit", "remove-model-ledger", "remove-model-files"]
)
def test_a_removal_that_was_cut_off_ends_when_it_is_run_again(
    published: Mill, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    without_spec(published)
    monkeypatch.setenv(VARIABLE, f"{point}:raise")
    with pytest.raises(InjectedFault):
        removed(published)
    monkeypatch.delenv(VARIABLE)
    removed(published)
    assert (rows_left(published), removable(published.workspace, published.model)) == ({}, ())
    assert published.sql("SELECT count(*) FROM tidemill.audit WHERE model = '{m}' AND event = 'remove'") == [(1,)]


def test_what_is_in_use_is_refused(serving: Mill) -> None:
    serving.predict()
    with pytest.raises(FatalError, match="still declares"):
        removed(serving)
    without_spec(serving)
    serving.sql("SELECT tidemill.hold('{m}', 'partition', '2024-03-25', 'case 18')")
    with pytest.raises(FatalError, match=r"partition 2024-03-25 of .* is held"):
        removed(serving)
    serving.sql("SELECT tidemill.unhold('{m}', 'partition', '2024-03-25', 'over')")
    serving.sql("CREATE VIEW shop.{m}_scores AS SELECT score FROM predictions.{m}")
    with pytest.raises(SettingsError, match=r"view shop\..*_scores depends on view predictions"):
        removed(serving)
    serving.sql("DROP VIEW shop.{m}_scores")
    run_id = serving.start_run(step="extract")
    with pytest.raises(FatalError, match="are running"):
        removed(serving)
    serving.sql("UPDATE tidemill.run SET status = 'failed' WHERE run_id = %s", run_id)
    assert serving.view()


def test_the_command_lists_first_and_removes_when_told(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # MLflow's client leaves it in the environment
    mill.extract("train", TRAINED)
    ask, env = ["remove-model", mill.model], {**mill.environment, "TIDEMILL_CONN_TIDEMILL_OWNER": mill.owner_url}
    listed = CliRunner().invoke(app, ask, env=env, catch_exceptions=False)
    assert "executions of steps\tledger\t1" in listed.stdout
    assert "Nothing is removed yet" in listed.stderr
    without_spec(mill)
    done = CliRunner().invoke(app, [*ask, "--yes", "--reason", "over"], env=env, catch_exceptions=False)
    assert (done.exit_code, rows_left(mill)) == (0, {})
