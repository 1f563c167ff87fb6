"""MLflow's registry: one version per release, found by its tags, and the aliases ``champion`` and ``challenger``."""

from dataclasses import dataclass, field
from typing import Any

from tidemill.tracking.models import BUNDLE
from tidemill.tracking.server import Session

__all__ = ["CHALLENGER", "CHAMPION", "RELEASE", "ReleaseTags", "champion_of", "ensure_version", "point"]

CHAMPION = "champion"
"""Alias of the version that serves."""
CHALLENGER = "challenger"
"""Alias of the newest version that does not serve, or not yet."""
RELEASE = "tidemill.release_id"
"""Tag with the release's number in the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseTags:
    """What identifies a release in the registry."""

    model: str
    """Name of the registered model."""
    release_id: int
    """Row in ``tidemill.release``."""
    bundle_digest: str
    more: dict[str, str] = field(default_factory=dict)
    """Further tags: digests of data, spec, packages."""


def ensure_version(session: Session, run_id: str, model_id: str, tags: ReleaseTags) -> str:
    """Register a release as a version of a logged model, unless it is one; return the version's number.

    A version is found by its tags, so one whose creation was never answered is reused, not duplicated; of two, the first.
    A version of another logged model is replaced.
    """
    client = session.client
    if not client.search_registered_models(f"name = '{tags.model}'", max_results=1):
        client.create_registered_model(tags.model, description=f"Releases of {tags.model}; the ledger is the truth.")
    session.check_time()
    found = client.search_model_versions(f"name = '{tags.model}' AND tags.`{BUNDLE}` = '{tags.bundle_digest}'")
    ours = [item for item in found if item.tags.get(RELEASE) == str(tags.release_id)]
    numbers = [int(item.version) for item in ours if _model_of(item) == model_id]
    for item in ours:
        if _model_of(item) != model_id:
            session.check_time()
            client.delete_model_version(tags.model, item.version)
    if numbers:
        return str(min(numbers))
    session.check_time()
    created = client.create_model_version(
        tags.model,
        f"models:/{model_id}",
        run_id,
        tags={**tags.more, RELEASE: str(tags.release_id), BUNDLE: tags.bundle_digest},
        description=f"Release {tags.release_id}, bundle {tags.bundle_digest[:12]}.",
        model_id=model_id,
        await_creation_for=0,
    )
    return str(created.version)


def _model_of(version: Any) -> str:
    return str(version.model_id or version.source.removeprefix("models:/"))


def point(session: Session, model: str, version: str, *, champion: bool) -> None:
    """Point the alias ``champion`` at a version that serves, else ``challenger`` unless a newer version has it."""
    session.check_time()
    aliases = session.client.get_registered_model(model).aliases
    if champion:
        session.client.set_registered_model_alias(model, CHAMPION, version)
        if str(aliases.get(CHALLENGER)) == version:
            session.client.delete_registered_model_alias(model, CHALLENGER)
    elif int(aliases.get(CHALLENGER, 0)) < int(version) and str(aliases.get(CHAMPION)) != version:
        session.client.set_registered_model_alias(model, CHALLENGER, version)


def champion_of(session: Session, model: str) -> str | None:
    """Return the release with MLflow's alias ``champion``, as text; None if there is none."""
    registered = session.client.search_registered_models(f"name = '{model}'", max_results=1)
    version = registered[0].aliases.get(CHAMPION) if registered else None
    if version is None:
        return None
    session.check_time()
    return str(session.client.get_model_version(model, version).tags.get(RELEASE, "of no number"))
