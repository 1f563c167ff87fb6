"""The spec: what a data scientist declares about one model, as frozen objects.

This package is light on purpose: Airflow imports it whenever it parses a DAG file. ``spec_file`` reads the YAML;
this package defines the meaning, the defaults and the rules across fields.
"""

from tidemill.spec.alerting import RULES, AlertChannel, Rule
from tidemill.spec.attestation import Attestation
from tidemill.spec.data import OBSERVED_AT, Expectation, Features, Label, Partitions, Policy, Ready, Source, Task
from tidemill.spec.folds import N_FOLDS, NO_TIME, STAMP, Folds, fold_key, fold_start
from tidemill.spec.inputs import Engine, Input, Missing
from tidemill.spec.model import ModelSpec
from tidemill.spec.operation import (
    Case,
    Monitor,
    OnEmpty,
    Predict,
    Quarantine,
    Reproduce,
    Retention,
    Retrain,
    Tests,
    Then,
    Unanswered,
    Withhold,
)
from tidemill.spec.search import Dimension, Search, Window
from tidemill.spec.training import BASELINES, CANDIDATES, Accept, LeaveOut, Own, Train, candidates

__all__ = [
    "BASELINES",
    "CANDIDATES",
    "NO_TIME",
    "N_FOLDS",
    "OBSERVED_AT",
    "RULES",
    "STAMP",
    "Accept",
    "AlertChannel",
    "Attestation",
    "Case",
    "Dimension",
    "Engine",
    "Expectation",
    "Features",
    "Folds",
    "Input",
    "Label",
    "LeaveOut",
    "Missing",
    "ModelSpec",
    "Monitor",
    "OnEmpty",
    "Own",
    "Partitions",
    "Policy",
    "Predict",
    "Quarantine",
    "Ready",
    "Reproduce",
    "Retention",
    "Retrain",
    "Rule",
    "Search",
    "Source",
    "Task",
    "Tests",
    "Then",
    "Train",
    "Unanswered",
    "Window",
    "Withhold",
    "candidates",
    "fold_key",
    "fold_start",
]
