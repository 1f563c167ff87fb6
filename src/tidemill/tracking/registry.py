"""MLflow's registry: a version for each release, found by its digest, and the aliases of what serves and what wants to."""

from dataclasses import dataclass, field
from pathlib import Path

from tidemill.errors import TrackingUnavailable
from tidemill.tracking.server import Session

__all__ = ["CHALLENGER", "CHAMPION", "RELEASE", "ReleaseTags", "champion_of", "download", "ensure_version", "point"]

CHAMPION = "champion"
"""Alias of the version that serves."""
CHALLENGER = "challenger"
"""Alias of the newest version that does not serve, or not yet."""
RELEASE = "tidemill.release_id"
"""Tag with the release's number in the ledger."""
BUNDLE = "tidemill.bundle_digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseTags:
    """What names a release in the registry."""

    release_id: int
    """Row in ``tidemill.release``."""
    bundle_digest: str
    """Digest of its bundle."""
    more: dict[str, str] = field(default_factory=dict)
    """Further tags: digests of data, spec, packages."""


def ensure_version(session: Session, model: str, run_id: str, tags: ReleaseTags) -> str:
    """Make sure that a release is a registered version, and give its number.

    A version is found by its tags, so one whose creation was never answered is used, not doubled; of two, the first.
    """
    client = session.client
    if not client.search_registered_models(f"name = '{model}'", max_results=1):
        client.create_registered_model(model, description=f"Releases of {model}; the ledger is the truth.")
    session.check_time()
    found = client.search_model_versions(f"name = '{model}' AND tags.`{BUNDLE}` = '{tags.bundle_digest}'")
    numbers = [int(item.version) for item in found if item.tags.get(RELEASE) == str(tags.release_id)]
    if numbers:
        return str(min(numbers))
    session.check_time()
    outputs = client.get_run(run_id).outputs.model_outputs
    if not outputs:
        raise TrackingUnavailable(
            f"MLflow's run {run_id} at {session.shown} holds no model.", "Clear the task 'register' of its training."
        )
    logged = outputs[-1].model_id
    session.check_time()
    created = client.create_model_version(
        model,
        f"models:/{logged}",
        run_id,
        tags={**tags.more, RELEASE: str(tags.release_id), BUNDLE: tags.bundle_digest},
        description=f"Release {tags.release_id}, bundle {tags.bundle_digest[:12]}.",
        model_id=logged,
        await_creation_for=0,
    )
    return str(created.version)


def download(session: Session, model: str, version: str, folder: Path) -> Path | None:
    """Download a version, and give the folder of its bundle; None if it holds none."""
    import mlflow

    session.check_time()
    source = f"models:/{model}/{version}"
    copied = Path(mlflow.artifacts.download_artifacts(artifact_uri=source, dst_path=str(folder)))
    return next((path.parent for path in sorted(copied.rglob("manifest.json"))), None)


def point(session: Session, model: str, version: str, *, champion: bool) -> None:
    """Let the alias speak of a version: ``champion`` if it serves, else ``challenger`` unless a newer one has it."""
    session.check_time()
    aliases = session.client.get_registered_model(model).aliases
    if champion:
        session.client.set_registered_model_alias(model, CHAMPION, version)
        if str(aliases.get(CHALLENGER)) == version:
            session.client.delete_registered_model_alias(model, CHALLENGER)
    elif int(aliases.get(CHALLENGER, 0)) < int(version) and str(aliases.get(CHAMPION)) != version:
        session.client.set_registered_model_alias(model, CHALLENGER, version)


def champion_of(session: Session, model: str) -> str | None:
    """Return the release that MLflow calls the champion, as text; None if it calls none so."""
    registered = session.client.search_registered_models(f"name = '{model}'", max_results=1)
    version = registered[0].aliases.get(CHAMPION) if registered else None
    if version is None:
        return None
    session.check_time()
    return str(session.client.get_model_version(model, version).tags.get(RELEASE, "of no number"))
