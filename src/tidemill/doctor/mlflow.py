"""MLflow's alias against the ledger's champion. MLflow is a mirror: if it is absent or wrong, that is a warning.

Importing this loads the modeling room; MLflow itself is loaded once its server answers.
"""

from tidemill.doctor.findings import Finding
from tidemill.errors import ArtifactCorrupt, IncompatibleVersions, TrackingUnavailable
from tidemill.mlflow_mirror.alias import Mirrored, move_alias
from tidemill.mlflow_mirror.mirror import show_waiting, waiting
from tidemill.tracking import Session, Tracking, champion_of
from tidemill.workspace import Workspace

__all__ = ["check_alias", "check_waiting"]


def check_alias(
    tracking: Tracking, workspace: Workspace, model: str, champion: Mirrored | None, *, repair: bool
) -> Finding:
    """Compare the alias with the champion; with ``repair`` set it."""
    try:
        with tracking.session() as session:
            return _check_alias(session, workspace, model, champion, repair=repair)
    except TrackingUnavailable as error:
        return Finding.warn("mlflow", model, error.problem, "Predictions continue without it; look at its log.")


def _check_alias(
    session: Session, workspace: Workspace, model: str, champion: Mirrored | None, *, repair: bool
) -> Finding:
    shown = champion_of(session, model)
    if champion is None:
        return _without_champion(model, shown)
    if shown == str(champion.release_id):
        return Finding.ok("mlflow", model, f"The alias names release {shown}, which serves.")
    said = (
        f"MLflow calls {'no release' if shown is None else f'release {shown}'} the champion,"
        f" release {champion.release_id} serves"
    )
    if champion.imported and shown is None:
        return Finding.ok("mlflow", model, f"Release {champion.release_id} serves, and is shown where it was trained.")
    if champion.imported:
        return Finding.warn("mlflow", model, f"{said}, which was trained elsewhere.", "Delete the alias in MLflow.")
    if champion.mlflow_run_id is None:
        return Finding.warn(
            "mlflow", model, f"{said}; its training was never logged.", "Clear the task 'register' of its training."
        )
    if not repair:
        return Finding.warn("mlflow", model, f"{said}.", "'tidemill doctor --repair' sets the alias.")
    try:
        move_alias(session, workspace, model, champion, champion.mlflow_run_id)
    except (ArtifactCorrupt, IncompatibleVersions) as error:
        return Finding.warn("mlflow", model, error.problem, error.next_step)
    return Finding.ok("mlflow", model, f"{said}; the alias is set now.")


def check_waiting(workspace: Workspace, model: str, *, repair: bool) -> Finding:
    """Return whether MLflow shows all trainings and daily pages; with ``repair`` show what waits."""
    n_waiting = len(waiting(workspace, model))
    if not n_waiting:
        return Finding.ok("mlflow", model, "It shows every training and page.")
    if repair:
        try:
            show_waiting(workspace, model)
        except TrackingUnavailable as error:
            return Finding.warn("mlflow", model, error.problem, "What waits is shown the next time.")
        return Finding.ok("mlflow", model, f"{n_waiting} training(s) and page(s) that waited are shown now.")
    return Finding.warn(
        "mlflow",
        model,
        f"{n_waiting} training(s) and page(s) wait to be shown.",
        "'tidemill doctor --repair' shows them.",
    )


def _without_champion(model: str, shown: str | None) -> Finding:
    if shown is None:
        return Finding.ok("mlflow", model, "Nothing serves, and MLflow agrees.")
    return Finding.warn(
        "mlflow",
        model,
        f"MLflow calls release {shown} the champion, and nothing serves.",
        "Delete the alias in MLflow.",
    )
