"""Removal of what MLflow shows of a model: its registered model, and the experiment with its runs."""

from tidemill.tracking.server import Session

__all__ = ["delete_model", "shown_versions"]


def shown_versions(session: Session, name: str) -> int:
    """Count the versions of a registered model; 0 if there is none."""
    return len(session.client.search_model_versions(f"name = '{name}'"))


def delete_model(session: Session, name: str) -> None:
    """Delete the registered model and its experiment, if they exist; MLflow's own clean-up deletes the runs for good."""
    if session.client.search_registered_models(f"name = '{name}'", max_results=1):
        session.client.delete_registered_model(name)
    session.check_time()
    found = session.client.get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage == "active":
        session.client.delete_experiment(found.experiment_id)
