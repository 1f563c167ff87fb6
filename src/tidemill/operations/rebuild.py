"""Rebuild: repeat each step of a release in a private folder, and compare it with the original result."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tidemill.arrow import to_frame
from tidemill.errors import ArtifactCorrupt, FatalError
from tidemill.metrics.definitions import METRICS
from tidemill.metrics.evaluation import point_value
from tidemill.modeling.bundle import Bundle
from tidemill.operations.comparison import likeness_of_figures, likeness_of_scores, row_differences
from tidemill.records import (
    BundleRef,
    EvaluationReport,
    Likeness,
    ReproducedStep,
    SnapshotRef,
    SplitRef,
)
from tidemill.runtime.job import Job
from tidemill.steps.data.extract import take_snapshot
from tidemill.steps.data.features import read_columns, read_set
from tidemill.steps.predict.answers import answers
from tidemill.steps.predict.undefined import is_defined
from tidemill.steps.train.evaluation.refit import fit_again
from tidemill.steps.train.prepare import SETS, cut
from tidemill.steps.train.train import fit_bundle
from tidemill.storage.bundles import load_bundle, read_manifest
from tidemill.storage.layout import FEATURES, LABELS, PARTITION
from tidemill.storage.store import Store
from tidemill.storage.tables import read_table
from tidemill.warehouse.releases.origins import Origins, ReleaseOrigin, RowsOrigin

__all__ = ["Rebuilding"]

Outcome = tuple[Likeness, str]
_OTHER_BYTES = "the same rows in different bytes, as another version of pyarrow writes them"


@dataclass(slots=True, kw_only=True)
class Rebuilding:
    """One release that is being rebuilt; each step's result is the next one's input."""

    aside: Job
    """Workspace that reads the source and writes into a private folder."""
    store: Store
    """Where the original artifacts are."""
    origins: Origins
    """What the ledger has on record."""
    made: ReleaseOrigin
    """The original release."""
    as_declared: bool
    """Continue with the rows that are read now instead of the original ones."""
    _fresh: SnapshotRef | None = field(default=None, init=False)
    _snapshot: SnapshotRef | None = field(default=None, init=False)
    _split: SplitRef | None = field(default=None, init=False)
    _bundle: BundleRef | None = field(default=None, init=False)

    def steps(self, rows: RowsOrigin | None) -> Iterator[ReproducedStep]:
        """Run every step whose input exists, in order."""
        yield self._judged("extract", self._extract)
        yield self._judged("snapshot", self._take_up)
        yield self._judged("bundle", self._load)
        if self._snapshot is not None:
            yield self._judged("prepare", partial(self._prepare, self._snapshot))
        if self._split is not None:
            yield self._judged("train", partial(self._train, self._split))
        if self._split is not None and self._bundle is not None:
            yield self._judged("evaluate", partial(self._evaluate, self._split, self._bundle))
        if rows is not None:
            yield self._judged("extract_rows", partial(self._extract_rows, rows))
            yield self._judged("predict", partial(self._predict, rows))

    # ------------------------------------------------------------ data

    def _extract(self) -> Outcome:
        then = self.origins.snapshot(self.made.model, self.made.snapshot_digest)
        self._fresh, _ = take_snapshot(self._training(), "train")
        return self._likeness_of_data(then, self._fresh, (LABELS, FEATURES))

    def _take_up(self) -> Outcome:
        """Check the original rows, and continue with them; with today's rows only if they are equal."""
        then = self.origins.snapshot(self.made.model, self.made.snapshot_digest)
        if self.as_declared or (self._fresh is not None and self._fresh.digest == then.digest):
            self._snapshot = self._fresh
        folder = self.store.folder(then.uri, then.digest)
        if self._snapshot is None:
            shutil.copytree(folder, self.aside.store.path(then.uri), dirs_exist_ok=True)
            self._snapshot = then
        return Likeness.BIT_EQUAL, f"the {then.n_rows:,} original rows match their digest"

    def _prepare(self, snapshot: SnapshotRef) -> Outcome:
        self._split = cut(self._training(), snapshot)
        split, digest = self._split, self.made.split_digest
        counts = f"{split.n_train:,} rows to train on, {split.n_validation:,} to choose on, {split.n_test:,} to test on"
        if split.digest == digest:
            return Likeness.BIT_EQUAL, f"{counts}; equal digest"
        then, now = self.store.path(f"{self.made.model}/splits/{digest}"), self.aside.store.path(split.uri)
        return self._likeness_of_tables(then, now, tuple(f"{name}.parquet" for name in SETS))

    def _likeness_of_data(self, then: SnapshotRef, now: SnapshotRef, files: tuple[str, ...]) -> Outcome:
        if then.digest == now.digest:
            return Likeness.BIT_EQUAL, f"the source returns the same {now.n_rows:,} rows; equal digest"
        return self._likeness_of_tables(self.store.path(then.uri), self.aside.store.path(now.uri), files)

    def _likeness_of_tables(self, then: Path, now: Path, files: tuple[str, ...]) -> Outcome:
        if not all((then / file).is_file() for file in files):
            return Likeness.DIFFERENT, f"another digest, and {then.name[:12]} no longer exists for comparison"
        found = []
        for file in files:
            before, after = (read_table(folder / file) for folder in (then, now))
            partition = PARTITION if PARTITION in before.column_names else None
            found += [
                f"{file.removesuffix('.parquet')}: {said}"
                for said in row_differences(before, after, self.aside.spec.entity_key, partition)
            ]
        return (Likeness.DIFFERENT, "; ".join(found)) if found else (Likeness.WITHIN_TOLERANCE, _OTHER_BYTES)

    # ------------------------------------------------------------ the model

    def _load(self) -> Outcome:
        self._released()
        return Likeness.BIT_EQUAL, "the bundle that serves matches its digest, and its golden rows score as before"

    def _train(self, split: SplitRef) -> Outcome:
        parameters = EvaluationReport.from_dict(self.made.evidence).judged.parameters
        self._bundle = fit_bundle(self._training(), split, self.made.estimator, parameters)
        if EvaluationReport.from_dict(self.made.evidence).refit is None:
            return self._likeness_of_bundles(split, self._bundle)
        return self._likeness_of_bundles(split, fit_again(self._training(), split, self._bundle))

    def _likeness_of_bundles(self, split: SplitRef, rebuilt: BundleRef) -> Outcome:
        if rebuilt.digest == self.made.bundle_digest:
            return Likeness.BIT_EQUAL, f"a new fit of {rebuilt.estimator}; equal digest"
        folder = self.store.path(self.made.bundle_uri)
        then = read_manifest(folder, self.made.bundle_digest)
        now = read_manifest(self.aside.store.path(rebuilt.uri), rebuilt.digest)
        unlike = sorted(name for name in {*then.files, *now.files} if then.files.get(name) != now.files.get(name))
        found = [
            f"{name} was {a}, is {b}"
            for name, a, b in (
                ("random_state", then.random_state, now.random_state),
                ("n_threads", then.n_threads, now.n_threads),
            )
            if a != b
        ]
        if not unlike:
            return Likeness.BIT_EQUAL, "; ".join([f"a new fit of {rebuilt.estimator}; every file is equal", *found])
        test = read_set(self.aside, split, "test")
        scores = [bundle.score(test.X) for bundle in (self._released(), self._rebuilt(rebuilt))]
        keys = test.X[self.aside.spec.entity_key].astype(str).tolist()
        verdict, said = likeness_of_scores(keys, *scores)
        if verdict is Likeness.BIT_EQUAL:
            verdict = Likeness.WITHIN_TOLERANCE  # the files do differ
        return verdict, f"another {', '.join(unlike)}; in the test set {'; '.join([said, *found])}"

    def _evaluate(self, split: SplitRef, rebuilt: BundleRef) -> Outcome:
        test, bundle = read_set(self.aside, split, "test"), self._rebuilt(rebuilt)
        score = bundle.score(test.X)
        recorded = EvaluationReport.from_dict(self.made.evidence).metrics
        names = (*METRICS[bundle.task], self.aside.spec.accept.metric)
        whole = [item for item in recorded if item.slice is None and item.feature is None and item.name in names]
        about: dict[str, Any] = {"task": bundle.task, "sample_weight": test.sample_weight, "partitions": test.blocks}
        if bundle.task_type.score_per_class and test.y.dtype.kind not in "iu":
            about["classes"] = bundle.classes
        if not bundle.task_type.has_classes:
            about["interval"] = bundle.interval_of(score)
        now = {item.name: point_value(item.name, test.y, score, bundle.threshold, **about) for item in whole}
        return likeness_of_figures(whole, now)

    # ------------------------------------------------------------ rows that it scored

    def _extract_rows(self, rows: RowsOrigin) -> Outcome:
        then = self.origins.snapshot(self.made.model, rows.snapshot_digest)
        job = self._with_query(rows)
        now, _ = take_snapshot(_at(job, rows.partition, rows.cutoff), "score")
        return self._likeness_of_data(then, now, (FEATURES,))

    def _predict(self, rows: RowsOrigin) -> Outcome:
        spec, then = self.aside.spec, self.origins.snapshot(self.made.model, rows.snapshot_digest)
        bundle = self._released() if self._bundle is None else self._rebuilt(self._bundle)
        path = self.store.folder(then.uri, then.digest) / FEATURES
        table = read_columns(path, [spec.entity_key, *bundle.schema.names])
        scores = bundle.score(to_frame(table))
        defined = is_defined(scores)  # the others were set aside
        table, score = table.filter(pa.array(defined)), np.asarray(answers(bundle, scores[defined])["score"])
        keys = table[spec.entity_key].cast(pa.string()).to_pylist()
        now = dict(zip(keys, score.tolist(), strict=True))
        published = {row.entity_key: row.score for row in self.origins.scored(self.made.model, rows.prediction_run_id)}
        if published.keys() != now.keys():
            return Likeness.DIFFERENT, f"{len(published):,} rows are kept, {len(now):,} are scored; other keys"
        pairs = np.array([(published[key], now[key]) for key in keys]).reshape(-1, 2)
        verdict, said = likeness_of_scores(keys, pairs[:, 0], pairs[:, 1])
        checksum = self.origins.checksum(self.made.model, rows.prediction_run_id)
        if checksum != rows.checksum:
            verdict, said = Likeness.DIFFERENT, f"the kept rows are not those that were written; {said}"
        return verdict, f"{said}; checksum {checksum}, written with {rows.checksum}"

    def _with_query(self, rows: RowsOrigin) -> Job:
        """Return a job with the spec and queries that the rows were scored with, if those were kept."""
        text = None if self.as_declared else self.origins.document(rows.query_digest)
        if text is None:
            return self.aside
        folder = self.aside.workspace.sql.with_name("sql_of_rows")
        for file, query in zip(self.aside.spec.source.queries(labelled=False), text.split("\0"), strict=False):
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(query, encoding="utf-8")
        return replace(self.aside, workspace=replace(self.aside.workspace, sql=folder))

    # ------------------------------------------------------------ small things

    def _training(self) -> Job:
        return _at(self.aside, self.made.partition, self.made.known_until)

    def _released(self) -> Bundle:
        return load_bundle(
            self.store.path(self.made.bundle_uri), self.made.bundle_digest, self.aside.spec.train.trusted
        )

    def _rebuilt(self, ref: BundleRef) -> Bundle:
        return load_bundle(self.aside.store.path(ref.uri), ref.digest, self.aside.spec.train.trusted)

    @staticmethod
    def _judged(step: str, build: Callable[[], Outcome]) -> ReproducedStep:
        try:
            verdict, found = build()
        except FatalError as error:
            said = error.problem if isinstance(error, ArtifactCorrupt) else f"it cannot be repeated: {error.problem}"
            verdict, found = Likeness.DIFFERENT, said
        return ReproducedStep(step=step, verdict=verdict, found=f"{found[:1].upper()}{found[1:].rstrip('.')}.")


def _at(job: Job, partition: str, cutoff: datetime) -> Job:
    return replace(job, partition=replace(job.spec.partition(partition), cutoff=cutoff))
