"""Explain: trace one published row back through encodings and features to each feature's contribution to the score."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.arrow import to_frame
from tidemill.errors import ExplanationFailed, NotPublished
from tidemill.modeling.alignment import align
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.explain import Explanation, encoded_columns, explain
from tidemill.spec import ModelSpec
from tidemill.steps.data.features import read_columns
from tidemill.storage.bundles import load_bundle
from tidemill.storage.layout import FEATURES
from tidemill.storage.store import Store
from tidemill.warehouse.predictions.publisher import Publisher
from tidemill.warehouse.predictions.trace import trace
from tidemill.warehouse.releases.registry import Releases
from tidemill.workspace import LEDGER, Workspace

__all__ = ["ExplainedRow", "FeaturePart", "explain_row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturePart:
    """One feature of a row."""

    feature: str
    """For example ``dep_hour``."""
    raw: Any
    """Its value in the snapshot; None if it is missing."""
    encoded: dict[str, float]
    """The matrix columns that the model reads for it, without those that are 0; empty if it reads none."""
    contribution: float
    """Its term of the sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedRow:
    """One published row, explained."""

    partition: str
    answer: dict[str, Any]
    """What was published, under the names of the view."""
    parts: tuple[FeaturePart, ...]
    """The features, largest contribution first."""
    base: float
    """Start of the sum: the model's output without any feature."""
    total: float
    """Sum of base and contributions."""
    score: float
    """The score that follows from the total, equal to the published one bit by bit."""
    scale: str
    """Unit of the contributions, e.g. ``log odds``."""
    method: str
    """Method that computed them."""
    release_id: int


def explain_row(workspace: Workspace, spec: ModelSpec, entity_key: str, partition: str | None = None) -> ExplainedRow:
    """Explain one published row from its snapshot and its release; by default that of the newest partition with its key.

    Raises
    ------
    NotPublished
        If there is no such row.
    ArtifactCorrupt
        If the snapshot or the bundle does not match the ledger, or has been collected.
    ExplanationFailed
        If the release does not reproduce the published score, or the contributions do not add up to the score.
    """
    url, store = workspace.connection(LEDGER), Store.of(workspace)
    answer = trace(url, spec.model, entity_key, partition)
    partition = str(answer["partition"])
    run = next(item for item in Publisher(url).published(spec.model) if item.partition == partition)
    release = Releases(url).release(spec.model, run.release_id)
    assert release is not None  # a foreign key says so
    bundle = load_bundle(store.path(release.bundle_uri), release.bundle_digest, spec.train.trusted)
    path = store.folder(run.snapshot_uri, run.snapshot_digest) / FEATURES
    rows = read_columns(path, [spec.entity_key, *bundle.schema.names])
    others, row = to_frame(rows), _row(rows, spec.entity_key, entity_key, partition)
    found = explain(bundle, row, background=others)
    published = answer[bundle.task_type.pick("score", "prediction")]
    score = _answered(bundle, row)
    if score != published:
        raise ExplanationFailed(
            f"Release {run.release_id} scores {entity_key!r} with {score!r}, but {published!r} was published.",
            f"Compare versions and data: 'tidemill trace {spec.model} {entity_key} --partition {partition}'.",
        )
    names = ("score", "prediction", "predicted_label", "probabilities", "low", "high", "reasons")
    return ExplainedRow(
        partition=partition,
        answer={name: answer[name] for name in names if name in answer},
        parts=_parts(bundle, found, row),
        base=float(found.base[0]),
        total=float(found.total[0]),
        score=score,
        scale=found.scale,
        method=found.method,
        release_id=run.release_id,
    )


def _row(rows: pa.Table, key: str, entity_key: str, partition: str) -> pd.DataFrame:
    row = rows.filter(pc.equal(rows[key].cast(pa.string()), entity_key))
    if not row.num_rows:
        raise NotPublished(
            f"The snapshot of {partition!r} has no row {entity_key!r}.", "Look at the published rows of the partition."
        )
    frame: pd.DataFrame = to_frame(row)
    return frame


def _answered(bundle: Bundle, row: pd.DataFrame) -> float:
    return float(np.max(bundle.score(row)[0]))


def _parts(bundle: Bundle, found: Explanation, row: pd.DataFrame) -> tuple[FeaturePart, ...]:
    aligned = align(row, bundle.schema)
    matrix = np.asarray(bundle.preprocessing.transform(aligned), dtype=np.float64)[0]
    encoded: dict[str, dict[str, float]] = {name: {} for name in found.features}
    for (feature, column), value in zip(encoded_columns(bundle), matrix.tolist(), strict=True):
        if value != 0 or len(matrix) == len(found.features):
            encoded[feature][column] = value
    parts = [
        FeaturePart(
            feature=name,
            raw=None if pd.isna(row[name].iloc[0]) else row[name].iloc[0],
            encoded=encoded[name],
            contribution=float(amount),
        )
        for name, amount in zip(found.features, found.contributions[0], strict=True)
    ]
    return tuple(sorted(parts, key=lambda part: -abs(part.contribution)))
