"""MLflow's alias against the ledger's champion. MLflow is a mirror: its absence, and its lies, are warnings.

Importing this loads MLflow, which takes seconds: ask ``machine.is_reachable`` first.
"""

from dataclasses import dataclass

from tidemill.doctor.findings import Finding
from tidemill.errors import TrackingUnavailable
from tidemill.tracking import CHAMPION, RELEASE, Tracking
from tidemill.warehouse.connections import fetch_one, transaction

__all__ = ["Mirrored", "Registry", "check_alias", "mirrored_champion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """A champion, and where MLflow shows its training."""

    release_id: int
    """Release that serves."""
    bundle_digest: str
    """Digest of its bundle."""
    mlflow_run_id: str | None
    """Run in MLflow; None if it was never logged."""


@dataclass(frozen=True, slots=True)
class Registry(Tracking):
    """MLflow's registry, for reading."""

    def alias(self, model: str) -> str | None:
        """Give the release that MLflow calls the champion, as text; None if it calls none so.

        Raises
        ------
        TrackingUnavailable
            If the server cannot be reached or refuses.
        """
        with self._session() as client:
            registered = client.search_registered_models(f"name = '{model}'", max_results=1)
            version = registered[0].aliases.get(CHAMPION) if registered else None
            if version is None:
                return None
            return str(client.get_model_version(model, version).tags.get(RELEASE, "of no number"))


def mirrored_champion(url: str, model: str) -> Mirrored | None:
    """Give the champion as MLflow should show it, or None if the model has none."""
    with transaction(url) as cursor:
        cursor.execute(
            "SELECT release_id, bundle_digest, mlflow_run_id FROM tidemill.release JOIN tidemill.champion USING (release_id)"
            " WHERE champion.model = %s",
            (model,),
        )
        return fetch_one(cursor, Mirrored)


def check_alias(registry: Registry, model: str, champion: Mirrored | None, *, repair: bool) -> Finding:
    """Compare the alias with the champion; with ``repair`` set it.

    Parameters
    ----------
    registry : Registry
        MLflow.
    model : str
        Name of the model.
    champion : Mirrored or None
        From the ledger.
    repair : bool
        Whether to set a wrong alias.
    """
    try:
        shown = registry.alias(model)
        if champion is None:
            return _without_champion(model, shown)
        if shown == str(champion.release_id):
            return Finding.ok("mlflow", model, f"The alias names release {shown}, which serves.")
        said = (
            f"MLflow calls {'no release' if shown is None else f'release {shown}'} the champion,"
            f" release {champion.release_id} serves"
        )
        if champion.mlflow_run_id is None:
            return Finding.warn(
                "mlflow", model, f"{said}; its training was never logged.", "Clear the task 'register' of its training."
            )
        if not repair:
            return Finding.warn("mlflow", model, f"{said}.", "'tidemill doctor --repair' sets the alias.")
        registry.mirror_release(
            model, champion.mlflow_run_id, champion.release_id, champion.bundle_digest, champion=True
        )
    except TrackingUnavailable as error:
        return Finding.warn("mlflow", model, error.problem, "Predictions go on without it; look at its log.")
    return Finding.ok("mlflow", model, f"{said}; the alias is set now.")


def _without_champion(model: str, shown: str | None) -> Finding:
    if shown is None:
        return Finding.ok("mlflow", model, "Nothing serves, and MLflow says so too.")
    return Finding.warn(
        "mlflow",
        model,
        f"MLflow calls release {shown} the champion, and nothing serves.",
        "Delete the alias in MLflow.",
    )
