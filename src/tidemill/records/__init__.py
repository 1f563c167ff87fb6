"""The small, frozen values that pass between steps, into the ledger and through XCom.

A record holds names, digests, counts and verdicts; frames and estimators never travel in one.
``to_dict`` returns JSON types only, and ``from_dict`` refuses unknown keys by name.
"""

from tidemill.records.alerts import Alert, AlertChange, AlertEvent, AlertsRef, Examination, OpenAlert, SentRef
from tidemill.records.console import (
    AskedRun,
    FigureName,
    FigureOfPartition,
    PartitionAlert,
    PartitionDetails,
    ReleaseEvidence,
    ReleaseOrigin,
    RowLookup,
    RowVersion,
    StepOfPartition,
    WantedFigure,
    Wishes,
)
from tidemill.records.data import CheckReport, CheckResult, ProfileRef, Readiness, SnapshotRef, SplitRef
from tidemill.records.evidence import BehaviourCheck, FeatureGroup, Rehearsal, SliceSearch, WeakSlice
from tidemill.records.figures import Decision, MetricValue, Record, Severity, Verdict, significant
from tidemill.records.models import Answer, BundleRef, DeploymentRef, EvaluationReport, Refit, ReleaseRef
from tidemill.records.overview import (
    MOST_UNEXAMINED,
    FailedStep,
    FeatureDrift,
    Hold,
    ModelDetails,
    ModelState,
    PublishedPartition,
    RetrainDecision,
    RowDecision,
    StandingRelease,
    Timeliness,
    UnrecordedFailure,
)
from tidemill.records.passport import Passport
from tidemill.records.predictions import CollectedRef, MonitorRef, PageRef, PredictionRef, ScoresRef, Shard
from tidemill.records.reproduction import Likeness, ReproducedStep, Reproduction
from tidemill.records.revisions import ChangedPartition, LookedBack, RowChanges
from tidemill.records.score import Evidence, LineScore, RecordedScore, Scorecard, ScoreLine, ScoreSection
from tidemill.records.search import Parameters, SearchReport, Trial
from tidemill.records.shadow import Role, Shadow, ShadowRef

__all__ = [
    "MOST_UNEXAMINED",
    "Alert",
    "AlertChange",
    "AlertEvent",
    "AlertsRef",
    "Answer",
    "AskedRun",
    "BehaviourCheck",
    "BundleRef",
    "ChangedPartition",
    "CheckReport",
    "CheckResult",
    "CollectedRef",
    "Decision",
    "DeploymentRef",
    "EvaluationReport",
    "Evidence",
    "Examination",
    "FailedStep",
    "FeatureDrift",
    "FeatureGroup",
    "FigureName",
    "FigureOfPartition",
    "Hold",
    "Likeness",
    "LineScore",
    "LookedBack",
    "MetricValue",
    "ModelDetails",
    "ModelState",
    "MonitorRef",
    "OpenAlert",
    "PageRef",
    "Parameters",
    "PartitionAlert",
    "PartitionDetails",
    "Passport",
    "PredictionRef",
    "ProfileRef",
    "PublishedPartition",
    "Readiness",
    "Record",
    "RecordedScore",
    "Refit",
    "Rehearsal",
    "ReleaseEvidence",
    "ReleaseOrigin",
    "ReleaseRef",
    "ReproducedStep",
    "Reproduction",
    "RetrainDecision",
    "Role",
    "RowChanges",
    "RowDecision",
    "RowLookup",
    "RowVersion",
    "ScoreLine",
    "ScoreSection",
    "Scorecard",
    "ScoresRef",
    "SearchReport",
    "SentRef",
    "Severity",
    "Shadow",
    "ShadowRef",
    "Shard",
    "SliceSearch",
    "SnapshotRef",
    "SplitRef",
    "StandingRelease",
    "StepOfPartition",
    "Timeliness",
    "Trial",
    "UnrecordedFailure",
    "Verdict",
    "WantedFigure",
    "WeakSlice",
    "Wishes",
    "significant",
]
