"""A release built again: bit for bit when nothing has changed, and what has changed is named when something has."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tidemill.doctor.findings import Health
from tidemill.doctor.reproduction import check_reproductions
from tidemill.errors import NoChampion, NotPublished
from tidemill.records import EvaluationReport
from tidemill.storage.bundles.load import MODEL_CARD
from tidemill.storage.store import Store
from tidemill.warehouse.connections import transaction

from .data import FEATURES_SQL, SCORED, SPEC, TRAINED, Mill

BOOSTED = SPEC.replace("[logistic_regression]", "[xgboost], refit: true, search: {trials: 2, folds: 2}")
Steps = dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def made(new_mill: Callable[[], Mill]) -> Mill:
    """A model that was trained and has scored a partition; tests that change it put it back."""
    mill = new_mill()
    mill.train(shown=False)
    mill.predict()
    return mill


def reproduce(mill: Mill, **chosen: Any) -> tuple[dict[str, Any], Steps]:
    record = mill.step("reproduce", "reproduce", TRAINED, **chosen)
    return record, {step["step"]: (step["verdict"], step["found"]) for step in record["steps"]}


def champion(mill: Mill) -> int:
    found = mill.promoter.champion(mill.model)
    assert found is not None
    return found.release_id


def run_of(mill: Mill) -> int:
    ((number,),) = mill.sql("SELECT prediction_run_id FROM tidemill.published WHERE model = '{m}'")
    return int(number)


# --- nothing has changed


def test_a_release_is_built_again_bit_by_bit(made: Mill) -> None:
    _, steps = reproduce(made, release=champion(made))
    assert {name: verdict for name, (verdict, _) in steps.items()} == dict.fromkeys(
        ("extract", "snapshot", "bundle", "prepare", "train", "evaluate"), "bit_equal"
    )


def test_published_rows_are_scored_again_bit_by_bit(made: Mill) -> None:
    record, steps = reproduce(made, prediction_run=run_of(made))
    assert (record["verdict"], steps["predict"][0], steps["extract_rows"][0]) == ("bit_equal",) * 3
    assert record["partition"] == SCORED


def test_a_fresh_process_builds_it_bit_by_bit_too(made: Mill, tmp_path: Path) -> None:
    answer = in_a_process(made, tmp_path)
    assert (answer.returncode, answer.stdout.splitlines()[-1]) == (
        0,
        f"Release {champion(made)} of {made.model} is bit equal.",
    )


def test_the_outcome_is_recorded_and_audited(made: Mill) -> None:
    record, _ = reproduce(made, release=champion(made))
    ((verdict, steps),) = made.sql(
        "SELECT verdict, steps FROM tidemill.reproduction WHERE reproduction_id = %s", record["reproduction_id"]
    )
    assert (verdict, steps) == ("bit_equal", record["steps"])
    ((audited,),) = made.sql(
        "SELECT count(*) FROM tidemill.audit WHERE event = 'reproduce' AND details ->> 'reproduction_id' = %s",
        str(record["reproduction_id"]),
    )
    assert audited == 1


def test_nothing_visible_changes(made: Mill) -> None:
    def visible() -> tuple[Any, ...]:
        files = sorted(path.as_posix() for path in made.workspace.storage.rglob("*"))
        tables = (
            "snapshot",
            "release",
            "deployment",
            "champion",
            "prediction_run",
            "published",
            "decision",
            "check_result",
        )
        return files, [made.sql(f"SELECT count(*) FROM tidemill.{table}") for table in tables]

    before = visible()
    reproduce(made, prediction_run=run_of(made))
    assert visible() == before


def test_the_partition_picks_a_release_and_always_the_same(made: Mill) -> None:
    picked = {made.step("reproduce", "reproduce", SCORED)["release_id"] for _ in range(2)}
    assert picked == {champion(made)}


def test_before_the_first_release_there_is_none_to_pick(made: Mill) -> None:
    with pytest.raises(NoChampion, match="had served by '2024-03-20'"):
        made.step("reproduce", "reproduce", "2024-03-20")


def test_an_unknown_release_is_reported(made: Mill) -> None:
    with pytest.raises(NoChampion, match="has no release 999999"):
        reproduce(made, release=999999)


def test_an_unknown_prediction_run_is_reported(made: Mill) -> None:
    with pytest.raises(NotPublished, match="999999"):
        reproduce(made, prediction_run=999999)


def test_the_doctor_says_that_it_is_well(made: Mill) -> None:
    reproduce(made, release=champion(made))
    assert findings(made) == (Health.OK, "1 release(s) are the same when built again.")


def findings(mill: Mill) -> tuple[Health, str]:
    with transaction(mill.workspace.connection("tidemill")) as cursor:
        found = check_reproductions(cursor, mill.model)
    return found.severity, found.message


# --- one thing has changed


def test_a_corrected_row_is_named_with_its_day_and_column(made: Mill) -> None:
    key = "20240305-003"
    ((before,),) = made.sql("SELECT weight_kg FROM {t} WHERE parcel_id = %s", key)
    made.sql("UPDATE {t} SET weight_kg = weight_kg + 1 WHERE parcel_id = %s", key)
    try:
        record, steps = reproduce(made, release=champion(made))
        health = findings(made)
    finally:
        made.sql("UPDATE {t} SET weight_kg = %s WHERE parcel_id = %s", before, key)
    assert steps["extract"] == ("different", "Features: 1 row(s) differ in 'weight_kg' (2024-03-05 20240305-003).")
    assert (record["verdict"], steps["train"][0], health[0]) == ("different", "bit_equal", Health.WARN)


def test_a_row_that_is_gone_is_named(made: Mill) -> None:
    row = made.sql("DELETE FROM {t} WHERE parcel_id = '20240305-003' RETURNING *")[0]
    try:
        _, steps = reproduce(made, release=champion(made))
    finally:
        made.sql(f"INSERT INTO {{t}} VALUES ({', '.join(['%s'] * len(row))})", *row)
    assert "features: 1 row(s) are gone (2024-03-05 20240305-003)" in steps["extract"][1]
    assert "Labels: 1 row(s) are gone (20240305-003)" in steps["extract"][1]


@pytest.fixture
def other_seed(made: Mill):
    made.write(spec=SPEC.replace("estimators:", "random_state: 7, estimators:"))
    yield
    made.write()


@pytest.mark.usefixtures("other_seed")
def test_another_seed_is_named_and_that_of_then_is_used(made: Mill) -> None:
    record, _ = reproduce(made, release=champion(made))
    assert (record["verdict"], record["changes"]) == (
        "bit_equal",
        ["spec: train.random_state was 20130101, is 7"],
    )


@pytest.mark.usefixtures("other_seed")
def test_as_declared_another_seed_makes_another_bundle(made: Mill) -> None:
    record, steps = reproduce(made, release=champion(made), as_declared=True)
    assert (record["verdict"], steps["prepare"][0]) == ("within_tolerance", "bit_equal")
    assert "random_state was 20130101, is 7" in steps["train"][1]


def test_another_query_is_named_and_that_of_then_is_used(made: Mill) -> None:
    made.write(features=FEATURES_SQL.replace("p.weight_kg,", "p.weight_kg * 2 AS weight_kg,"))
    try:
        record, _ = reproduce(made, release=champion(made))
    finally:
        made.write()
    assert (record["verdict"], record["changes"]) == ("bit_equal", [f"query: {made.model}/features.sql has changed"])


def test_as_declared_another_query_makes_another_model(made: Mill) -> None:
    made.write(features=FEATURES_SQL.replace("p.weight_kg,", "p.weight_kg * 2 AS weight_kg,"))
    try:
        _, steps = reproduce(made, release=champion(made), as_declared=True)
    finally:
        made.write()
    assert {name: steps[name][0] for name in ("extract", "prepare", "train")} == dict.fromkeys(
        ("extract", "prepare", "train"), "different"
    )
    assert "differ in 'weight_kg'" in steps["extract"][1]


def in_a_process(made: Mill, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process that finds packages in a folder first."""
    more = {"COLUMNS": "500", "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    return subprocess.run(
        [sys.executable, "-c", "from tidemill.cli import app; app()", "reproduce", made.model],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | made.environment | more,
        cwd=folder,
    )


def test_another_version_of_a_library_is_named(made: Mill, tmp_path: Path) -> None:
    here = next(Path(place) for place in sys.path if list(Path(place).glob("threadpoolctl-*.dist-info")))
    found = next(here.glob("threadpoolctl-*.dist-info"))
    other = tmp_path / "threadpoolctl-99.0.dist-info"
    other.mkdir()
    text = (found / "METADATA").read_text(encoding="utf-8")
    version = found.name.removeprefix("threadpoolctl-").removesuffix(".dist-info")
    (other / "METADATA").write_text(text.replace(f"Version: {version}", "Version: 99.0", 1), encoding="utf-8")
    answer = in_a_process(made, tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert f"Since then: package threadpoolctl was {version}, is 99.0." in answer.stdout.splitlines()


# --- what was kept is not whole


def test_a_damaged_snapshot_is_reported_and_the_source_helps_out(made: Mill) -> None:
    ((uri,),) = made.sql("SELECT uri FROM tidemill.snapshot WHERE model = '{m}' AND purpose = 'train'")
    folder = Store(made.workspace.storage).path(uri)
    whole = (folder / "features.parquet").read_bytes()
    (folder / "features.parquet").write_bytes(whole[:-1])
    try:
        _, steps = reproduce(made, release=champion(made))
    finally:
        (folder / "features.parquet").write_bytes(whole)
    assert (steps["snapshot"][0], steps["train"][0]) == ("different", "bit_equal")
    assert "has changed: expected digest" in steps["snapshot"][1]


def test_a_missing_bundle_is_reported_and_the_doctor_fails(made: Mill, tmp_path: Path) -> None:
    release = made.promoter.champion(made.model)
    assert release is not None
    folder = Store(made.workspace.storage).path(release.bundle_uri)
    shutil.move(folder, tmp_path / "away")
    try:
        _, steps = reproduce(made, release=release.release_id)
        health = findings(made)
    finally:
        shutil.move(tmp_path / "away", folder)
    assert (steps["bundle"][0], steps["train"][0]) == ("different", "bit_equal")
    assert health == (Health.FAIL, f"Not the same when built again: release {release.release_id} in bundle.")


def test_rows_that_somebody_changed_are_found(made: Mill) -> None:
    run = run_of(made)
    ((key, before),) = made.sql(f"SELECT entity_key, score FROM tidemill.prediction_run_{run} LIMIT 1")
    made.sql(f"UPDATE tidemill.prediction_run_{run} SET score = score / 2 WHERE entity_key = %s", key)
    try:
        _, steps = reproduce(made, prediction_run=run)
    finally:
        made.sql(f"UPDATE tidemill.prediction_run_{run} SET score = %s WHERE entity_key = %s", before, key)
    assert steps["predict"][0] == "different"
    assert "1 of 60 rows score differently" in steps["predict"][1]
    assert key in steps["predict"][1]


def test_a_release_from_before_the_texts_were_kept_is_built_with_what_there_is(made: Mill) -> None:
    spec_digest, query_digest = "1" * 64, "2" * 64
    for table in ("judgement", "snapshot"):
        made.sql(f"ALTER TABLE tidemill.{table} DISABLE TRIGGER append_only")
    ((before, digest),) = made.sql(
        "SELECT r.spec_digest, s.query_digest FROM tidemill.release r JOIN tidemill.snapshot s"
        " ON (s.model, s.digest) = (r.model, r.snapshot_digest) WHERE r.release_id = %s",
        champion(made),
    )
    change = "UPDATE tidemill.judgement SET spec_digest = %s WHERE release_id = %s"
    query = "UPDATE tidemill.snapshot SET query_digest = %s WHERE model = '{m}' AND purpose = 'train'"
    try:
        made.sql(change, spec_digest, champion(made))
        made.sql(query, query_digest)
        record, _ = reproduce(made, release=champion(made))
    finally:
        made.sql(change, before, champion(made))
        made.sql(query, digest)
        for table in ("judgement", "snapshot"):
            made.sql(f"ALTER TABLE tidemill.{table} ENABLE TRIGGER append_only")
    assert (record["verdict"], record["changes"]) == (
        "bit_equal",
        [
            "spec: it has changed, and the original was not kept",
            "queries: the originals were not kept; today's are used",
        ],
    )


def test_what_digests_stand_for_is_kept_word_by_word(made: Mill) -> None:
    rows = made.sql(
        "SELECT d.kind, convert_from(d.content, 'UTF8') FROM tidemill.release r JOIN tidemill.document d"
        " ON d.digest IN (r.spec_digest, r.lock_digest) WHERE r.model = '{m}'"
    )
    kept = dict(rows)
    assert json.loads(kept["spec"])["model"] == made.model
    assert "xgboost==" in kept["packages"]


def test_a_text_that_is_not_what_its_digest_says_cannot_be_kept(made: Mill) -> None:
    with pytest.raises(Exception, match="document_check"):
        made.sql("INSERT INTO tidemill.document VALUES (%s, 'spec', 'x', now())", "0" * 64)


# --- settings that were searched for, and seeds that matter


@pytest.fixture(scope="module")
def boosted(new_mill: Callable[[], Mill]) -> Mill:
    """A model of boosted trees, with settings that a search chose, fitted again on all labelled rows."""
    mill = new_mill()
    mill.write(spec=BOOSTED)
    mill.train(shown=False)
    return mill


def newest(mill: Mill) -> int:
    ((number,),) = mill.sql("SELECT max(release_id) FROM tidemill.release WHERE model = '{m}'")
    return int(number)


def test_settings_that_a_search_chose_are_used_again_without_searching(boosted: Mill) -> None:
    record, steps = reproduce(boosted, release=newest(boosted))
    assert (record["verdict"], steps["train"][0]) == ("bit_equal", "bit_equal")


def test_what_was_fitted_again_serves_with_its_card_and_has_seen_the_test_rows(boosted: Mill) -> None:
    release = boosted.promoter.champion(boosted.model)
    assert release is not None
    report = EvaluationReport.from_dict(release.evidence)
    assert report.refit is not None
    assert report.judged.digest != release.bundle_digest == report.bundle.digest
    assert release.learnt_until == release.known_until
    card = (boosted.workspace.storage / release.bundle_uri / MODEL_CARD).read_text()
    assert f"Fitted again on all {report.refit.n_rows:,} labelled rows" in card.replace("\\", "")
    assert boosted.predict()["publish"]["release_id"] == release.release_id


def test_another_seed_of_boosted_trees_scores_otherwise_and_is_named(boosted: Mill) -> None:
    boosted.write(spec=BOOSTED.replace("estimators:", "random_state: 7, estimators:"))
    try:
        record, steps = reproduce(boosted, release=newest(boosted), as_declared=True)
    finally:
        boosted.write(spec=BOOSTED)
    assert (record["verdict"], steps["prepare"][0], steps["train"][0]) == ("different", "bit_equal", "different")
    assert "random_state was 20130101, is 7" in steps["train"][1]
    assert re.search(r"\d+ of \d+ rows score differently, by up to 0\.\d+", steps["train"][1])
