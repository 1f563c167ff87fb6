"""A partition scored in shards: the same rows, all at once or not at all, and only what is lost is made again."""

import json
import shutil
from typing import Any

import pytest

from tidemill.errors import ArtifactCorrupt, IncompletePublish
from tidemill.records import ReleaseRef, SnapshotRef
from tidemill.steps.predict import predict as predict_step
from tidemill.steps.predict.shards import cut
from tidemill.storage.store import Store

from .conftest import DagRun
from .data import SCORED, SPEC, Mill

SHARD_ROWS = 25  # of 60: three shards, whose edges are no row group's


@pytest.fixture
def scored(serving: Mill) -> tuple[Mill, ReleaseRef, SnapshotRef, list[dict[str, Any]]]:
    """A partition of which every shard has been scored, and nothing written."""
    release, snapshot = serving.resolve(), serving.extract("score", SCORED)
    return serving, release, snapshot, [score(serving, release, snapshot, shard) for shard in shards(snapshot)]


def shards(snapshot: SnapshotRef) -> list[dict[str, Any]]:
    return [shard.to_dict() for shard in cut(snapshot.n_rows, SHARD_ROWS)]


def score(mill: Mill, release: ReleaseRef, snapshot: SnapshotRef, shard: dict[str, Any]) -> dict[str, Any]:
    return mill.step("predict", "score", SCORED, release=release.to_dict(), snapshot=snapshot.to_dict(), shard=shard)


def write(mill: Mill, release: ReleaseRef, snapshot: SnapshotRef, scores: list[dict[str, Any]]) -> dict[str, Any]:
    return mill.step(
        "predict", "predict", SCORED, release=release.to_dict(), snapshot=snapshot.to_dict(), scores=scores
    )


@pytest.mark.parametrize("task", ["binary", "reasons", "empty"])
def test_shards_change_no_bit(scored: Any, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mill, release, snapshot, scores = scored
    monkeypatch.setattr(predict_step, "BATCH_ROWS", 7)
    if task == "reasons":
        mill.write(SPEC + "predict: {reasons: 3}\n")
        scores = [score(mill, release, snapshot, shard) for shard in shards(snapshot)]
    if task == "empty":
        mill.write(SPEC + "predict: {on_empty: publish}\n")
        mill.sql(
            "DELETE FROM {t} WHERE shipped_at >= '2024-03-25 00:00 America/New_York'"
            " AND shipped_at < '2024-03-26 00:00 America/New_York'"
        )
        snapshot = mill.extract("score", SCORED)
        scores = [score(mill, release, snapshot, shard) for shard in shards(snapshot)]
    whole = mill.predict()["predict"]
    written = write(mill, mill.resolve(), snapshot, scores)
    assert (written["checksum"], written["n_rows"]) == (whole["checksum"], snapshot.n_rows)


def test_only_the_lost_shard_is_scored_again_with_the_same_digest(scored: Any) -> None:
    mill, release, snapshot, scores = scored
    store = Store(mill.workspace.storage)
    shutil.rmtree(store.path(scores[1]["uri"]))
    with pytest.raises(ArtifactCorrupt, match="is missing"):
        write(mill, release, snapshot, scores)
    assert mill.statuses() == []
    assert score(mill, release, snapshot, scores[1]["shard"]) == scores[1]
    write(mill, release, snapshot, scores)
    assert mill.statuses() == ["written"]


@pytest.mark.parametrize("given", [(0, 1), (0, 2), (1, 2), (0, 1, 1, 2)])
def test_a_shard_too_few_or_twice_is_refused(scored: Any, given: tuple[int, ...]) -> None:
    mill, release, snapshot, scores = scored
    with pytest.raises(IncompletePublish, match="do not make up its 60 rows"):
        write(mill, release, snapshot, [scores[number] for number in given])


@pytest.mark.parametrize("origin", ["snapshot_digest", "bundle_digest"])
def test_scores_of_other_rows_or_another_bundle_are_refused(scored: Any, origin: str) -> None:
    mill, release, snapshot, scores = scored
    with pytest.raises(IncompletePublish, match=r"2 snapshot\(s\) and bundle\(s\)"):
        write(mill, release, snapshot, [*scores[:2], scores[2] | {origin: "0" * 64}])


def test_shards_scored_with_another_spec_are_refused(scored: Any) -> None:
    mill, release, snapshot, scores = scored
    mill.write(SPEC + "predict: {reasons: 3}\n")
    again = score(mill, release, snapshot, scores[2]["shard"])
    with pytest.raises(IncompletePublish, match=r"have different columns.*'reasons'"):
        write(mill, release, snapshot, [*scores[:2], again])


def test_a_flipped_byte_publishes_nothing(scored: Any) -> None:
    mill, release, snapshot, scores = scored
    path = Store(mill.workspace.storage).path(scores[2]["uri"]) / "scores.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    with pytest.raises(ArtifactCorrupt, match="has changed"):
        write(mill, release, snapshot, scores)


def test_the_dag_maps_a_task_a_shard_and_publishes_all_rows(serving: Mill, dag_run: DagRun) -> None:
    serving.write(SPEC + f"predict: {{shard_rows: {SHARD_ROWS}}}\n")
    ended = dag_run("predict", serving, partition=SCORED)
    assert ended["state"] == "success", json.dumps(ended)
    assert len(serving.view()) == 60
    assert serving.sql("SELECT count(*) FROM tidemill.run WHERE model = '{m}' AND step = 'score'") == [(3,)]
