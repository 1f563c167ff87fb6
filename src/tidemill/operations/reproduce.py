"""Reproduce: rebuild a release, and optionally rows that it scored, from the ledger's records, and compare the results.

Everything happens in a temporary folder and without a connection that can write, so nothing visible changes. Recorded
inputs are used again, spec and queries included. Code, packages and the source cannot be restored: today's are used, and
their changes are listed.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from tidemill.errors import ArtifactCorrupt, NoChampion
from tidemill.operations.comparison import changed_keys, changed_packages
from tidemill.operations.rebuild import Rebuilding
from tidemill.records import Likeness, Reproduction
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec
from tidemill.storage.bundles import read_manifest
from tidemill.storage.scratch import temporary
from tidemill.versions import OPTIONAL_LIBRARIES, code_version, environment, lock_digest, packages
from tidemill.warehouse.releases.origins import Origins, ReleaseOrigin
from tidemill.workspace import LEDGER, PROMOTER, Workspace

__all__ = ["choose_release", "partition_of", "reproduce"]

_WORST_LAST = (Likeness.BIT_EQUAL, Likeness.WITHIN_TOLERANCE, Likeness.DIFFERENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    """What to rebuild with."""

    spec: ModelSpec
    queries: tuple[str, ...]
    """Features, then labels if the release is rebuilt."""
    changes: tuple[str, ...]


@declarations.reproduce
def reproduce(
    job: Job, release: int | None = None, prediction_run: int | None = None, as_declared: bool = False
) -> Reproduction:
    """Rebuild a release, compare every step with its original result, and record the outcome.

    Parameters
    ----------
    release : int, optional
        Release to rebuild; without it and ``prediction_run``, the partition selects one.
    prediction_run : int, optional
        Prediction run to score again; implies the release that scored it.
    as_declared : bool, default False
        Use today's spec and queries instead of the original ones: does today's declaration still give this release?

    Raises
    ------
    NoChampion
        If there is no such release, or none to select.
    NotPublished
        If the prediction run has no rows.
    """
    origins = Origins(job.workspace.connection(LEDGER))
    rows = None if prediction_run is None else origins.rows(job.spec.model, prediction_run)
    chosen = rows.release_id if rows is not None else release or choose_release(job, origins)
    made = origins.release(job.spec.model, chosen)
    recipe = _recipe(job, origins, made, as_declared=as_declared)
    with temporary() as scratch:
        rebuilding = Rebuilding(
            aside=_aside(job, scratch, recipe),
            store=job.store,
            origins=origins,
            made=made,
            as_declared=as_declared,
        )
        steps = tuple(rebuilding.steps(rows))
    done = Reproduction(
        model=made.model,
        partition=made.partition if rows is None else rows.partition,
        release_id=made.release_id,
        prediction_run_id=prediction_run,
        verdict=max((step.verdict for step in steps), key=_WORST_LAST.index),
        steps=steps,
        changes=recipe.changes,
        as_declared=as_declared,
    )
    return replace(done, reproduction_id=origins.record(done, code_version(), lock_digest(), job.run_id))


def choose_release(job: Job, origins: Origins) -> int:
    """Select one of the releases that have served; a partition always selects the same one.

    Raises
    ------
    NoChampion
        If none has served by the partition's cutoff, or retention has removed their inputs.
    """
    found = origins.reproducible(job.spec.model, job.partition.cutoff)
    if not found:
        raise NoChampion(
            f"No release of {job.spec.model!r} that can be rebuilt had served by {job.partition.key!r}.",
            "Name one, or train as of an earlier partition.",
        )
    seed = hashlib.sha256(f"{job.spec.model} {job.partition.key}".encode()).digest()
    return found[int.from_bytes(seed) % len(found)]


def partition_of(workspace: Workspace, model: str, release: int | None, prediction_run: int | None) -> str:
    """Return the partition that a release was trained as of, or that a prediction run scored."""
    origins = Origins(workspace.connection(LEDGER))
    if prediction_run is not None:
        return origins.rows(model, prediction_run).partition
    assert release is not None  # the caller has one of the two
    return origins.release(model, release).partition


# ---------------------------------------------------------------- what to build with


def _recipe(job: Job, origins: Origins, made: ReleaseOrigin, *, as_declared: bool) -> _Recipe:
    today = tuple(job.workspace.query(file) for file in job.spec.source.queries(labelled=True))
    then, spec_changes = _spec_of_then(job, origins, made)
    text = origins.document(made.query_digest)
    queries = today if text is None else tuple(text.split("\0"))
    changes = [*spec_changes, *_query_changes(job, queries, today, recorded=text is not None)]
    changes += _code_changes(made) + _package_changes(job, origins, made)
    if as_declared:
        return _Recipe(spec=job.spec, queries=today, changes=tuple(changes))
    return _Recipe(spec=then, queries=queries, changes=tuple(changes))


def _spec_of_then(job: Job, origins: Origins, made: ReleaseOrigin) -> tuple[ModelSpec, list[str]]:
    if made.spec_digest == job.spec.digest:
        return job.spec, []
    text = origins.document(made.spec_digest)
    if text is None:
        return job.spec, ["spec: it has changed, and the original was not kept"]
    try:
        then = ModelSpec.model_validate_json(text)
    except ValidationError as error:
        names = ", ".join(".".join(str(part) for part in item["loc"]) for item in error.errors())
        return job.spec, [f"spec: the original is no longer valid for this version, in {names}"]
    return then, list(changed_keys(then.model_dump(mode="json"), job.spec.model_dump(mode="json")))


def _query_changes(job: Job, then: tuple[str, ...], today: tuple[str, ...], *, recorded: bool) -> list[str]:
    if not recorded:
        return ["queries: the originals were not kept; today's are used"]
    files = job.spec.source.queries(labelled=True)
    return [f"query: {file} has changed" for file, a, b in zip(files, then, today, strict=False) if a != b]


def _code_changes(made: ReleaseOrigin) -> list[str]:
    here = code_version()
    return [] if made.code_version == here else [f"code was {made.code_version}, is {here}"]


def _package_changes(job: Job, origins: Origins, made: ReleaseOrigin) -> list[str]:
    """List the packages whose versions differ, and changes of the interpreter and the machine."""
    recorded = origins.document(made.lock_digest)
    found = list(changed_packages(recorded, packages())) if recorded is not None else []
    try:
        manifest = read_manifest(job.store.path(made.bundle_uri), made.bundle_digest)
    except ArtifactCorrupt:
        return found  # reported by the step that needs it
    here = environment(*OPTIONAL_LIBRARIES)
    for name, version in sorted(manifest.environment.items()):
        told = any(item.startswith(f"package {name} ") for item in found)
        if here.get(name) != version and not told:
            found.append(f"{name} was {version}, is {here.get(name, 'missing')}")
    return found


# ---------------------------------------------------------------- building


def _aside(job: Job, scratch: Path, recipe: _Recipe) -> Job:
    """Return a job that reads the source, uses the recipe, and writes only into the scratch folder."""
    files = recipe.spec.source.queries(labelled=True)
    for file, query in zip(files, recipe.queries, strict=False):
        path = scratch / "sql" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(query, encoding="utf-8")

    def only_sources(name: str) -> str:
        if name in (LEDGER, PROMOTER):
            raise ValueError("what is rebuilt is not written to the ledger")
        return job.workspace.connection(name)

    workspace = replace(
        job.workspace,
        sql=scratch / "sql",
        storage=scratch / "storage",
        bucket=None,
        tracking_uri=None,
        connection=only_sources,
    )
    return replace(job, spec=recipe.spec, workspace=workspace)
