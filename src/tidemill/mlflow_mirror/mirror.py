"""Mirror of trainings and daily pages in MLflow. The ledger comes first; nothing here decides or promotes.

Each is noted on the storage before MLflow is called, and the note is removed once MLflow shows all of it. So a server
that is down, slow, or dies half-way costs seconds and loses nothing. Waiting items are shown with the next training or
page, by the daily maintenance, or by ``tidemill doctor --repair``.
"""

import hashlib
import json
import logging
from dataclasses import dataclass, replace

from tidemill.errors import ArtifactCorrupt, IncompatibleVersions, TrackingUnavailable
from tidemill.mlflow_mirror.runs import children, data_used, system
from tidemill.mlflow_mirror.versions import show_model, show_version
from tidemill.records import EvaluationReport, MetricValue, ProfileRef
from tidemill.report.card import CardFacts, card_page, model_card
from tidemill.report.pages import evaluation_page, read_pictures
from tidemill.runtime.job import Job
from tidemill.spec_file import load_sound_specs
from tidemill.storage.store import Store
from tidemill.tracking import (
    DailyPage,
    ReleaseTags,
    Session,
    Tracking,
    Training,
    point,
    show,
    show_page,
)
from tidemill.versions import code_version, lock_digest
from tidemill.warehouse.releases.costs import fit_costs
from tidemill.warehouse.releases.registry import Releases
from tidemill.workspace import LEDGER, PROMOTER, Workspace

__all__ = ["WAITING", "Shown", "show_all_waiting", "show_daily_page", "show_training", "show_waiting", "waiting"]

WAITING = "unshown"
"""Folder of a model on the storage with what MLflow does not show yet."""

PAGE = "page-"  # prefix of the notes about pages

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Where MLflow shows a training."""

    run_id: str | None = None
    """Run; None if MLflow does not show it, or there is no MLflow."""
    version: str | None = None
    """Version in the registry; None without a release."""
    problem: str = ""
    """Why MLflow does not show it."""


def show_training(job: Job, facts: CardFacts, profile: ProfileRef) -> Shown:
    """Show a training and its release, after earlier waiting items; a failure of MLflow does not fail the step."""
    if not job.workspace.tracking_uri:
        return Shown()
    return _show_now(job, _training(job, facts, profile))


def show_daily_page(job: Job, uri: str, release_id: int) -> Shown:
    """Upload a partition's page, after earlier waiting pages; a failure of MLflow does not fail the step."""
    if not job.workspace.tracking_uri:
        return Shown()
    page = DailyPage(model=job.spec.model, partition=job.partition.key, release_id=release_id, uri=uri)
    return _show_now(job, page)


def _show_now(job: Job, item: Training | DailyPage) -> Shown:
    name = f"{PAGE * isinstance(item, DailyPage)}{hashlib.sha256(item.key.encode()).hexdigest()}.json"
    job.store.note(f"{item.model}/{WAITING}/{name}", json.dumps(item.to_dict()).encode())
    try:
        # A role that writes pages may lack the right to record on a release where its training is shown.
        pages_only = isinstance(item, DailyPage)
        return show_waiting(job.workspace, job.spec.model, pages_only=pages_only).get(item.key, Shown())
    except TrackingUnavailable as error:
        _log.warning("%s It is shown later.", error.problem)
        return Shown(problem=error.problem)


def show_waiting(workspace: Workspace, model: str, *, pages_only: bool = False) -> dict[str, Shown]:
    """Upload a model's waiting items, oldest first; return their places by key.

    Parameters
    ----------
    workspace : Workspace
        Storage and connections; a training requires the promoter's connection.
    pages_only : bool, default False
        Leave trainings waiting.

    Raises
    ------
    TrackingUnavailable
        If MLflow cannot be reached, fails, or is too slow; what it already shows stays.
    """
    store, found = Store.of(workspace), {}
    notes = [note for note in waiting(workspace, model) if _is_page(note) or not pages_only]
    if not notes or not workspace.tracking_uri:
        return {}
    with Tracking(workspace.tracking_uri).session() as session:
        for note in notes:
            written = store.noted(note)
            if written is None:  # another process has shown it
                continue
            item = _read(note, written)
            try:
                found[item.key] = _show(session, workspace, item)
            except (ArtifactCorrupt, IncompatibleVersions) as error:  # removed or replaced since; no retry changes that
                _log.warning("%s", error)
                found[item.key] = Shown(problem=error.problem)
            store.strike(note)
    return found


def show_all_waiting(workspace: Workspace) -> None:
    """Show the waiting items of all models; a failure of MLflow is only reported, and ends the round."""
    try:
        for spec in load_sound_specs(workspace.models):
            show_waiting(workspace, spec.model)
    except TrackingUnavailable as error:
        _log.warning("%s What waits is shown the next time.", error.problem)


def waiting(workspace: Workspace, model: str) -> tuple[str, ...]:
    """Return the notes of a model's trainings and pages that MLflow does not show yet, oldest first."""
    return Store.of(workspace).notes(model, WAITING)


def _read(note: str, written: bytes) -> Training | DailyPage:
    kind = DailyPage if _is_page(note) else Training
    return kind.from_dict(json.loads(written))


def _is_page(note: str) -> bool:
    return note.rpartition("/")[2].startswith(PAGE)


def _show(session: Session, workspace: Workspace, item: Training | DailyPage) -> Shown:
    if isinstance(item, DailyPage):
        folder = Store.of(workspace).path(item.uri)
        if not folder.is_dir():
            raise ArtifactCorrupt(f"Page {item.uri} was removed before MLflow could show it.", "Monitor the day again.")
        return Shown(run_id=show_page(session, item, folder))
    return _show_training(session, workspace, item)


def _show_training(session: Session, workspace: Workspace, training: Training) -> Shown:
    store = Store.of(workspace)
    for uri in training.folders.values():
        store.path(uri)  # downloads it, if it was made elsewhere
    run_id = show(session, training, store)
    if training.release_id is None:
        show_model(session, workspace, training.model, run_id, (training.bundle_uri, training.bundle_digest))
        return Shown(run_id=run_id)
    Releases(workspace.connection(PROMOTER)).note_mlflow_run(training.release_id, run_id)
    more = {name: value for name, value in training.tags.items() if name.endswith(("_digest", "_version"))}
    tags = ReleaseTags(
        model=training.model, release_id=training.release_id, bundle_digest=training.bundle_digest, more=more
    )
    version = show_version(session, workspace, run_id, tags, training.bundle_uri)
    champion = Releases(workspace.connection(LEDGER)).champion(training.model)
    serves = champion is not None and champion.release_id == training.release_id
    point(session, training.model, version, champion=serves)
    return Shown(run_id=run_id, version=version)


def _training(job: Job, facts: CardFacts, profile: ProfileRef) -> Training:
    spec, evaluation, decision, card = job.spec, facts.evaluation, facts.decision, model_card(facts)
    pictures = job.store.path(evaluation.uri)
    svgs = read_pictures(pictures)
    costs = fit_costs(
        job.workspace.connection(LEDGER), spec.model, job.partition.key, [ref.digest for ref in evaluation.candidates]
    )
    return Training(
        key=f"{job.partition.key}:{evaluation.bundle.digest}:{decision.decision_id}",
        model=spec.model,
        name=f"{job.partition.key} {evaluation.estimator}",
        params={name: str(value) for name, value in _params(job, facts).items()},
        metrics=_figures(evaluation),
        tags={
            "tidemill.verdict": decision.verdict.value,
            "tidemill.release_id": str(facts.release_id or ""),
            "tidemill.bundle_digest": evaluation.bundle.digest,
            "tidemill.snapshot_digest": facts.snapshot.digest,
            "tidemill.split_digest": facts.split.digest,
            "tidemill.spec_digest": spec.digest,
            "tidemill.code_version": code_version(),
            "tidemill.lock_digest": lock_digest(),
        },
        system=system(costs.values()),
        data=data_used(facts.snapshot, facts.split),
        texts={
            "model_card.md": card,
            "model_card.html": card_page(facts),
            "evaluation.html": evaluation_page(facts.snapshot, evaluation, decision, pictures=svgs),
        },
        folders={"evaluation": evaluation.uri, "profile": profile.uri},
        note=card,
        bundle_uri=evaluation.bundle.uri,
        bundle_digest=evaluation.bundle.digest,
        release_id=facts.release_id,
        started_at=min((cost.started_at for cost in costs.values()), default=facts.snapshot.cutoff),
        children=children(job.store, evaluation.candidates, costs, spec.accept.metric),
    )


def _params(job: Job, facts: CardFacts) -> dict[str, object]:
    return {
        "estimator": facts.evaluation.estimator,
        "partition": job.partition.key,
        "train.window": job.spec.train.window,
        "n_train": facts.split.n_train,
        "n_validation": facts.split.n_validation,
        "n_test": facts.split.n_test,
        **facts.parameters,
    }


def _figures(evaluation: EvaluationReport) -> tuple[MetricValue, ...]:
    champion = evaluation.champion_difference
    against = [item for item in (*evaluation.baselines, champion, evaluation.search_gain) if item is not None]
    return (
        *evaluation.metrics,
        *(replace(item, name=f"{item.name} over {item.slice}", slice=None) for item in against),
    )
