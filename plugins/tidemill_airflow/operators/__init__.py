"""One operator per step, derived from the step's declaration; those that do more than their step have a file each."""

from typing import TYPE_CHECKING

from tidemill_airflow.operators.act import ActOperator
from tidemill_airflow.operators.approve import ApproveOperator
from tidemill_airflow.operators.ask import AskOperator
from tidemill_airflow.operators.await_ready import AwaitReadyOperator
from tidemill_airflow.operators.collect_garbage import CollectGarbageOperator
from tidemill_airflow.operators.cut import CutOperator
from tidemill_airflow.operators.declared import declared_operators
from tidemill_airflow.operators.doctor import DoctorOperator
from tidemill_airflow.operators.inspect import InspectOperator
from tidemill_airflow.operators.look_back import LookBackOperator, ScoreAgainOperator
from tidemill_airflow.operators.record_outcome import RecordOutcomeOperator
from tidemill_airflow.operators.rollback import RollbackOperator, SettleOperator
from tidemill_airflow.operators.send_alerts import SendAlertsOperator
from tidemill_airflow.operators.step import StepOperator
from tidemill_airflow.operators.trigger_training import TriggerTrainingOperator

__all__ = [
    "ActOperator",
    "ApproveOperator",
    "AskOperator",
    "AwaitReadyOperator",
    "CollectGarbageOperator",
    "CutOperator",
    "DoctorOperator",
    "InspectOperator",
    "LookBackOperator",
    "RecordOutcomeOperator",
    "RollbackOperator",
    "ScoreAgainOperator",
    "SendAlertsOperator",
    "SettleOperator",
    "StepOperator",
    "TriggerTrainingOperator",
]

globals().update(declared_operators())
__all__ += sorted(declared_operators())

if TYPE_CHECKING:

    def __getattr__(name: str) -> type[StepOperator]: ...
