"""The releases of a model in a list, the refused ones too."""

from dataclasses import dataclass

from tidemill.warehouse.connections import fetch_all, transaction
from tidemill.warehouse.statements import execute

__all__ = ["ListedRelease", "list_releases"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRelease:
    """A release with its newest judgement, in short."""

    release_id: int
    """Row in ``tidemill.release``."""
    partition: str
    """Partition as of which it was trained."""
    estimator: str
    metric: str
    """Acceptance metric."""
    metric_value: float
    """Its value on the test set."""
    verdict: str
    """The gate's newest verdict; ``refused by …`` if a person's newest answer was no."""
    live: str
    """``champion``, ``in the shadow until …``, ``was live`` or ``never``."""
    reasons: list[str]
    """The gate's reasons."""


def list_releases(url: str, model: str) -> tuple[ListedRelease, ...]:
    """Return every release of a model, newest first."""
    with transaction(url) as cursor:
        execute(cursor, "list_releases", model=model)
        return fetch_all(cursor, ListedRelease)
