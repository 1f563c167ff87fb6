"""What a person does to the champion and to what is kept: nothing moves on to a bundle that cannot serve."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.errors import ArtifactCorrupt, FatalError
from tidemill.operations.rollback import promote_by_hand, roll_back
from tidemill.retention import collect_garbage
from tidemill.warehouse.releases.holds import Holds
from tidemill.workspace import Workspace

from .data import SCORED, SPEC, TRAINED, Mill

Trained = tuple[Mill, dict[str, dict[str, Any]]]
MISSING = "f" * 64


def champion_of(mill: Mill) -> int:
    champion = mill.promoter.champion(mill.model)
    assert champion is not None
    return champion.release_id


@pytest.fixture
def two(serving: Mill, trained_mill: Trained) -> tuple[Mill, int, int]:
    """A small model with two releases that have served, older first."""
    older = champion_of(serving)
    newer = serving.register(trained_mill[1], SCORED)
    serving.promote(newer, older, SCORED)
    return serving, older, newer


def elsewhere(mill: Mill, storage: Path) -> Workspace:
    """The same ledger over a storage that has lost everything."""
    return Workspace(
        models=mill.workspace.models,
        sql=mill.workspace.sql,
        storage=storage,
        tracking_uri=None,
        connection=mill.workspace.connection,
    )


def test_rollback_to_a_bundle_that_is_gone_changes_nothing(two: tuple[Mill, int, int], tmp_path: Path) -> None:
    mill, older, newer = two
    with pytest.raises(ArtifactCorrupt, match=f"Release {older} .* cannot serve, and nothing has changed"):
        roll_back(mill.spec, elsewhere(mill, tmp_path), to=None, republish=None, approved_by="test", reason="test")
    assert champion_of(mill) == newer


def test_rollback_to_a_bundle_that_is_whole_goes_through(two: tuple[Mill, int, int]) -> None:
    mill, older, _ = two
    roll_back(mill.spec, mill.workspace, to=None, republish=None, approved_by="test", reason="test")
    assert champion_of(mill) == older


def test_promotion_of_a_bundle_that_is_not_what_its_digest_says_changes_nothing(
    serving: Mill, trained_mill: Trained
) -> None:
    other = serving.register(trained_mill[1], SCORED, bundle_digest=MISSING)
    with pytest.raises(ArtifactCorrupt, match=f"Release {other} .* cannot serve"):
        promote_by_hand(serving.spec, serving.workspace, other, force=False, approved_by="test", reason="test")
    assert champion_of(serving) != other


# --- a dry run is no training


def test_a_dry_run_does_not_hold_the_next_training_back(serving: Mill) -> None:
    serving.write(spec=SPEC + "retrain: {cooldown: 20 days, max_age: 1 day}\n")
    before = serving.ledger.trainings(serving.model)
    serving.train("2024-03-28", shown=False, dry_run=True)
    assert serving.ledger.trainings(serving.model) == before


def test_a_training_that_was_refused_does(mill: Mill) -> None:
    mill.write(spec=SPEC.replace("minimum: 0.6", "minimum: 0.99"))
    mill.train(shown=False)
    assert [partition for partition, _ in mill.ledger.trainings(mill.model)] == [TRAINED]


# --- holds


@pytest.fixture
def holds(serving: Mill) -> Holds:
    return Holds(serving.workspace.connection("tidemill"))


def tell(mill: Mill, *arguments: str) -> str:
    answer = CliRunner().invoke(app, [*arguments], env=mill.environment, catch_exceptions=False)
    return " ".join(answer.output.split())


def test_what_is_held_is_not_collected(serving: Mill, holds: Holds) -> None:
    serving.predict(SCORED)
    serving.predict(SCORED)
    serving.sql("ALTER TABLE tidemill.prediction_run DISABLE TRIGGER note_status")
    serving.sql("UPDATE tidemill.prediction_run SET status_since = now() - interval '1 year' WHERE model = '{m}'")
    serving.sql("ALTER TABLE tidemill.prediction_run ENABLE TRIGGER note_status")
    holds.hold(serving.model, "partition", SCORED, "case 17")
    assert [item for item in collect_garbage(serving.workspace, dry_run=True) if item.kind == "prediction_run"] == []
    holds.unhold(serving.model, "partition", SCORED, "closed")
    assert (
        len([item for item in collect_garbage(serving.workspace, dry_run=True) if item.kind == "prediction_run"]) == 1
    )


def test_command_holds_lists_and_lets_go(serving: Mill) -> None:
    release = str(champion_of(serving))
    assert "is held" in tell(serving, "hold", serving.model, "release", release, "--reason", "case 17")
    assert "case 17" in tell(serving, "held", serving.model)
    assert "no longer held" in tell(serving, "unhold", serving.model, "release", release, "--reason", "closed")
    assert tell(serving, "held", serving.model) == "Nothing is held."


def test_releases_are_listed_with_verdict_and_reasons(serving: Mill) -> None:
    listed = json.loads(tell(serving, "releases", serving.model, "--json"))
    expected = serving.sql("SELECT release_id FROM tidemill.release WHERE model = '{m}' ORDER BY release_id DESC")
    assert [(item["release"],) for item in listed] == expected
    (champion,) = (item for item in listed if item["live"] == "champion")
    assert champion["release"] == champion_of(serving)
    reasons = serving.sql(
        "SELECT d.verdict, d.reasons FROM tidemill.release r JOIN tidemill.decision d USING (decision_id)"
        f" WHERE r.release_id = {champion['release']}"
    )
    assert [(champion["verdict"], champion["why"])] == reasons


def test_what_does_not_exist_cannot_be_held(serving: Mill, holds: Holds) -> None:
    with pytest.raises(FatalError, match="has no release '999999999'"):
        holds.hold(serving.model, "release", "999999999", "why")


def test_what_is_not_held_cannot_be_released(serving: Mill, holds: Holds) -> None:
    with pytest.raises(FatalError, match="is not held"):
        holds.unhold(serving.model, "release", "1", "why")
