"""Look back after a prediction by a command: score the partitions again whose rows have changed since."""

from collections.abc import Callable

from tidemill.errors import FatalError
from tidemill.operations.prediction import Prediction, predict_partition
from tidemill.records import ChangedPartition, LookedBack
from tidemill.runtime.chains import predict_chain
from tidemill.runtime.run import run_step
from tidemill.spec import ModelSpec
from tidemill.workspace import Workspace

__all__ = ["predict_changed"]

Outcome = Prediction | FatalError


def predict_changed(
    workspace: Workspace, spec: ModelSpec, partition: str, on_change: Callable[[ChangedPartition, Outcome], None]
) -> None:
    """Score each changed partition before one again, by the release that scored it.

    Parameters
    ----------
    partition : str
        Key of the newest partition, which has been predicted.
    on_change : callable
        Called with each changed partition and what became of it; an error of one does not end the others.
    """
    record = run_step("predict", "look_back", spec.model, partition, {}, workspace=workspace)
    for item in LookedBack.from_dict(record).changed:
        chain = predict_chain(release=item.release_id, simulate=item.simulated)
        try:
            outcome: Outcome = predict_partition(chain, spec.model, item.partition, workspace)
        except FatalError as error:  # recorded in the ledger; other partitions have nothing to do with it
            outcome = error
        on_change(item, outcome)
