"""One operator a step, one class a file."""

from tidemill_airflow.operators.alert import AlertOperator
from tidemill_airflow.operators.analyse import AnalyseOperator
from tidemill_airflow.operators.approve import ApproveOperator
from tidemill_airflow.operators.collect import CollectOperator
from tidemill_airflow.operators.collect_garbage import CollectGarbageOperator
from tidemill_airflow.operators.compute import ComputeOperator
from tidemill_airflow.operators.cut import CutOperator
from tidemill_airflow.operators.decide import DecideOperator
from tidemill_airflow.operators.doctor import DoctorOperator
from tidemill_airflow.operators.drift import DriftOperator
from tidemill_airflow.operators.evaluate import EvaluateOperator
from tidemill_airflow.operators.extract import ExtractOperator
from tidemill_airflow.operators.freshness import FreshnessOperator
from tidemill_airflow.operators.notify import NotifyOperator
from tidemill_airflow.operators.performance import PerformanceOperator
from tidemill_airflow.operators.predict import PredictOperator
from tidemill_airflow.operators.prepare import PrepareOperator
from tidemill_airflow.operators.publish import PublishOperator
from tidemill_airflow.operators.record_outcome import RecordOutcomeOperator
from tidemill_airflow.operators.register import RegisterOperator
from tidemill_airflow.operators.report import ReportOperator
from tidemill_airflow.operators.reproduce import ReproduceOperator
from tidemill_airflow.operators.resolve_release import ResolveReleaseOperator
from tidemill_airflow.operators.rollback import RollbackOperator
from tidemill_airflow.operators.score import ScoreOperator
from tidemill_airflow.operators.send_alerts import SendAlertsOperator
from tidemill_airflow.operators.step import StepOperator
from tidemill_airflow.operators.train import TrainOperator
from tidemill_airflow.operators.trigger_training import TriggerTrainingOperator
from tidemill_airflow.operators.validate_data import ValidateDataOperator
from tidemill_airflow.operators.validate_model import ValidateModelOperator

__all__ = [
    "AlertOperator",
    "AnalyseOperator",
    "ApproveOperator",
    "CollectGarbageOperator",
    "CollectOperator",
    "ComputeOperator",
    "CutOperator",
    "DecideOperator",
    "DoctorOperator",
    "DriftOperator",
    "EvaluateOperator",
    "ExtractOperator",
    "FreshnessOperator",
    "NotifyOperator",
    "PerformanceOperator",
    "PredictOperator",
    "PrepareOperator",
    "PublishOperator",
    "RecordOutcomeOperator",
    "RegisterOperator",
    "ReportOperator",
    "ReproduceOperator",
    "ResolveReleaseOperator",
    "RollbackOperator",
    "ScoreOperator",
    "SendAlertsOperator",
    "StepOperator",
    "TrainOperator",
    "TriggerTrainingOperator",
    "ValidateDataOperator",
    "ValidateModelOperator",
]
