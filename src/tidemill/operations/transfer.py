"""Transfer of a release from one environment to the next, with all of its evidence.

Importing never promotes. The target's gate judges the imported evidence by the target's spec. It reports what it cannot
judge because a different champion serves here.
"""

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from tidemill.errors import ArtifactCorrupt
from tidemill.modeling.gate.gate import decide_acceptance
from tidemill.operations.import_checks import refuse_other_places, refuse_unreadable_texts
from tidemill.records import Decision, EvaluationReport, Passport, Record
from tidemill.spec import ModelSpec
from tidemill.storage.archive import BUNDLE, CARD, EVALUATION, PROTOCOL, read_archive, write_archive
from tidemill.storage.bundles import MODEL_CARD, load_bundle
from tidemill.storage.bundles.save import adopt_bundle, keep_card
from tidemill.storage.scratch import scratch
from tidemill.storage.store import Store, digest_folder
from tidemill.warehouse.ledger import Ledger
from tidemill.warehouse.releases.origins import Origins, ReleaseOrigin
from tidemill.warehouse.releases.passports import Passports
from tidemill.warehouse.releases.registry import NewRelease, Release, Releases
from tidemill.warehouse.releases.resolution import current_release
from tidemill.workspace import LEDGER, PROMOTER, Workspace

__all__ = ["Imported", "export_release", "import_release"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported(Record):
    """Outcome of an import."""

    model: str
    release_id: int
    """Its number here."""
    origin_release_id: int
    """Its number in the environment of origin."""
    digest: str
    known: bool
    """True if the bundle was here already; a new evaluation is judged anyway."""
    decision: Decision
    """Verdict of the gate here on the evidence."""


def export_release(workspace: Workspace, model: str, release_id: int | None, target: Path) -> tuple[int, str]:
    """Write a release with its evidence into an archive; return its number and the archive's digest.

    Parameters
    ----------
    workspace : Workspace
        Folders and connections; the ledger is only read.

    Raises
    ------
    NoChampion
        If there is no such release.
    ArtifactCorrupt
        If its bundle or its evaluation is gone or damaged.
    """
    spec, url, store = workspace.spec(model), workspace.connection(LEDGER), Store.of(workspace)
    releases = Releases(url)
    number = current_release(releases, model) if release_id is None else release_id
    origin = Origins(url).release(model, number)
    report = EvaluationReport.from_dict(origin.evidence)
    bundle = store.path(origin.bundle_uri)
    load_bundle(bundle, origin.bundle_digest, spec.train.trusted)
    card = store.noted(f"{origin.bundle_uri}/{MODEL_CARD}")
    if card is not None and not (bundle / MODEL_CARD).is_file():
        # The list of a bundle's files does not name the card, so it is not fetched from a bucket.
        (bundle / MODEL_CARD).write_bytes(card)
    evaluation = store.folder(report.uri, report.uri.rsplit("/", 1)[1])
    files = _files(bundle, BUNDLE) | _files(evaluation, EVALUATION)
    if card is not None:
        files[CARD] = files.pop(f"{BUNDLE}/{MODEL_CARD}")
    return number, write_archive(target, _passport(url, origin, report), files)


def import_release(workspace: Workspace, source: Path, *, by: str, digest: str | None = None) -> Imported:
    """Import a release from an archive, with its origin on record; it does not serve.

    Repeating the import, even after a kill, changes nothing more.

    Parameters
    ----------
    workspace : Workspace
        Folders and connections; the model's spec has to be here already.
    digest : str, optional
        Digest that the export printed; an archive with another one is refused.

    Raises
    ------
    ArtifactCorrupt
        If the archive does not match its own digests or the given one; then nothing has changed.
    SpecError
        If the model has no spec here.
    IncompatibleVersions
        If the bundle was made with another major version of a library.
    """
    with scratch(Path(tempfile.gettempdir())) as aside:
        passport, found = read_archive(source, aside)
        if digest is not None and digest != found:
            raise ArtifactCorrupt(
                f"Archive {source} is not the expected one: expected digest {digest}, got {found}.",
                "Find out where it comes from; the export prints the digest of what it has written.",
            )
        spec = workspace.spec(passport.model)
        spec.partition(passport.partition)  # it must know this partition
        _keep_files(Store.of(workspace), spec, passport, aside)
    return _register(workspace, spec, passport, found, by)


def _files(folder: Path, name: str) -> dict[str, Path]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {f"{name}/{path.relative_to(folder).as_posix()}": path for path in paths}


def _passport(url: str, origin: ReleaseOrigin, report: EvaluationReport) -> Passport:
    origins, known = Origins(url), Passports(url).known(origin.model, origin.release_id, report.champion_release)
    digests = {"spec": origin.spec_digest, "packages": origin.lock_digest, "queries": origin.query_digest}
    texts = {kind: origins.document(digest) for kind, digest in digests.items()}
    return Passport(
        protocol=PROTOCOL,
        release_id=origin.release_id,
        model=origin.model,
        partition=origin.partition,
        evaluation=report,
        snapshot=origins.snapshot(origin.model, origin.snapshot_digest),
        split_digest=origin.split_digest,
        known_until=origin.known_until,
        spec_digest=origin.spec_digest,
        code_version=origin.code_version,
        lock_digest=origin.lock_digest,
        documents={kind: text for kind, text in texts.items() if text is not None},
        files={},
        **known,
    )


def _keep_files(store: Store, spec: ModelSpec, passport: Passport, unpacked: Path) -> None:
    """Store bundle, evaluation and card where the release refers to them, after comparing each with its digest."""
    refuse_other_places(passport)
    report = passport.evaluation
    expected = report.uri.rsplit("/", 1)[-1]
    evaluation = unpacked / EVALUATION
    if not evaluation.is_dir() or digest_folder(evaluation) != expected:
        raise ArtifactCorrupt(
            f"The evaluation in the archive is not {report.uri}.", "Do not use it; export the release again."
        )
    refuse_unreadable_texts(passport, unpacked)
    owner, kind, _ = report.uri.split("/")
    store.write(owner, kind, lambda folder: _copy_into(evaluation, folder))
    adopt_bundle(unpacked / BUNDLE, store.root / report.bundle.uri, report.bundle.digest, spec.train.trusted)
    store.share(report.bundle.uri)
    if (unpacked / CARD).is_file():
        keep_card(store, report.bundle.uri, (unpacked / CARD).read_text(encoding="utf-8"))


def _copy_into(source: Path, folder: Path) -> None:
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".digests"))


def _register(workspace: Workspace, spec: ModelSpec, passport: Passport, digest: str, by: str) -> Imported:
    releases, carried = Releases(workspace.connection(PROMOTER)), Passports(workspace.connection(LEDGER))
    ledger, report = Ledger(carried.url), passport.evaluation
    known = carried.release(spec.model, passport.partition, report.bundle.digest)
    judged = _as_here(report, passport, releases.champion(spec.model))
    decision = carried.decision(spec.model, digest)
    if decision is None:
        decision = decide_acceptance(judged, spec.accept, unit=spec.block_unit)
        decision = replace(decision, reasons=(_origin_in_words(passport, spec), *decision.reasons))
        if not _is_judged(releases, spec.model, known, report):
            origin = passport.to_dict() | {"documents": {}, "files": {}}
            evidence = {"archive": digest, "origin": origin, "imported_by": by}
            number = ledger.record_decision(spec.model, passport.partition, decision, evidence, None)
            decision = replace(decision, decision_id=number)
    release_id = known
    if release_id is None or decision.decision_id is not None:
        carried.keep_documents(passport.documents)
        ledger.record_snapshot(replace(passport.snapshot, model=spec.model), None)
        release_id = releases.register(_new(spec, passport, judged, decision))
    carried.note_import(spec.model, release_id, digest, passport, by)
    return Imported(
        model=spec.model,
        release_id=release_id,
        origin_release_id=passport.release_id,
        digest=digest,
        known=known is not None,
        decision=decision,
    )


def _is_judged(releases: Releases, model: str, known: int | None, report: EvaluationReport) -> bool:
    """Whether the newest judgement of a known release is about this evaluation."""
    release = None if known is None else releases.release(model, known)
    return release is not None and release.evidence.get("uri") == report.uri


def _as_here(report: EvaluationReport, passport: Passport, champion: Release | None) -> EvaluationReport:
    """Return the part of the evidence that concerns what serves here."""
    if champion is not None and champion.bundle_digest == passport.champion_digest:
        return replace(report, champion_release=champion.release_id)
    missing = "it differs from the one that served where this release comes from, and the test rows stayed there."
    return replace(
        report,
        champion_release=None if champion is None else champion.release_id,
        champion_difference=None,
        champion_slices=(),
        churn=None,
        mean_change=None,
        champion_saw_test=False,
        champion_problem="" if champion is None else missing,
    )


def _origin_in_words(passport: Passport, spec: ModelSpec) -> str:
    other = "" if passport.spec_digest == spec.digest else " It was trained with a spec that differs from the one here."
    return (
        f"Imported: release {passport.release_id} of ledger {passport.ledger[:12]}, where the gate's verdict was"
        f" {passport.decision.verdict.value.replace('_', ' ')}; judged here by its own evidence.{other}"
    )


def _new(spec: ModelSpec, passport: Passport, judged: EvaluationReport, decision: Decision) -> NewRelease:
    return NewRelease(
        model=spec.model,
        partition=passport.partition,
        bundle=judged.bundle,
        snapshot_digest=passport.snapshot.digest,
        split_digest=passport.split_digest,
        metric=passport.metric,
        metric_value=passport.metric_value,
        evidence=judged.to_dict(),
        decision=decision,
        learnt_until=passport.learnt_until,
        known_until=passport.known_until,
        spec_digest=passport.spec_digest,
        code_version=passport.code_version,
        lock_digest=passport.lock_digest,
        run_id=None,
        requested_by=passport.requested_by,
    )
