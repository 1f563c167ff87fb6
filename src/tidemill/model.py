"""A model in Python, for notebooks and programs: ``tidemill.open("flight_delays")``.

Methods run the same steps as commands and DAGs, record them in the ledger, and return frames, records or charts.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
from psycopg2 import sql

from tidemill.arrow import to_frame
from tidemill.errors import NotPublished
from tidemill.operations.explain import explain_row
from tidemill.operations.prediction import predict_partition
from tidemill.records import DeploymentRef, EvaluationReport, PredictionRef, SnapshotRef
from tidemill.runtime.chains import drive, monitor_chain, predict_chain, train_chain
from tidemill.runtime.run import run_step
from tidemill.spec import ModelSpec
from tidemill.steps.data.labels import labelled
from tidemill.storage.layout import FEATURES, LABELS
from tidemill.storage.store import Store
from tidemill.storage.tables import read_table
from tidemill.warehouse.connections import transaction
from tidemill.warehouse.ledger import Ledger
from tidemill.warehouse.predictions.publisher import Publisher
from tidemill.warehouse.releases.listing import list_releases
from tidemill.workspace import LEDGER, Workspace, read_environment_file

if TYPE_CHECKING:
    from tidemill.report.charts import Chart

__all__ = ["Model", "open_model"]

Part = Literal["drift", "performance", "compute", "freshness", "inspect"]
"""What a figure of monitoring is about."""
_NEWEST = "9999-12-31"  # no partition is later


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a project, as `tidemill.open` returns it.

    A partition is named by its key, e.g. ``2013-07-01``.
    """

    name: str
    workspace: Workspace
    """Folders and connections."""

    @property
    def spec(self) -> ModelSpec:
        """The spec as its file is now."""
        return self.workspace.spec(self.name)

    def snapshot(self, partition: str, purpose: Literal["score", "train"] = "score") -> pd.DataFrame:
        """Take a snapshot of the source and return its rows.

        Parameters
        ----------
        purpose : {"score", "train"}, default "score"
            ``score`` reads the rows of the partition. ``train`` reads those of the training window before it, and adds
            the label as training reads it: 1 for the positive class and 0 for others; the class; or the number.
        """
        chain = "train" if purpose == "train" else "predict"
        record = run_step(chain, "extract", self.name, partition, {"purpose": purpose}, workspace=self.workspace)
        taken = SnapshotRef.from_dict(record)
        folder = Store.of(self.workspace).folder(taken.uri, taken.digest)
        rows = read_table(folder / FEATURES)
        if purpose == "train":
            label = labelled(rows, read_table(folder / LABELS), self.spec)
            rows = rows.append_column(self.spec.label.column, label)
        frame: pd.DataFrame = to_frame(rows)
        return frame

    def evaluate(self, partition: str, *, trials: int | None = None) -> EvaluationReport:
        """Train the candidates as of a partition and measure the best one on the test set; nothing is released.

        Parameters
        ----------
        trials : int, optional
            Hyperparameter settings to try per candidate; as in the spec by default.
        """
        chain = train_chain(self.spec, dry_run=True, trials=trials)
        return EvaluationReport.from_dict(drive("train", chain, self.name, partition, self.workspace, until="evaluate"))

    @staticmethod
    def metrics(evaluation: EvaluationReport) -> pd.DataFrame:
        """Return the metrics of an evaluation with their 95 % intervals: the whole test set first, then slices."""
        return _frame(map(asdict, evaluation.metrics), ["name", "slice", "value", "low", "high", "n"])

    def train(self, partition: str, *, reason: str = "", trials: int | None = None) -> DeploymentRef:
        """Train a challenger as of a partition, let the gate decide, and promote it if the gate accepts.

        Parameters
        ----------
        trials : int, optional
            As for `evaluate`.
        """
        chain = train_chain(self.spec, reason=reason, trials=trials)
        return DeploymentRef.from_dict(drive("train", chain, self.name, partition, self.workspace))

    def predict(self, partition: str, *, release: int | None = None) -> PredictionRef:
        """Score a partition and publish its rows, or withhold them if they differ too much from the model's past.

        Parameters
        ----------
        release : int, optional
            Release that scores; by default the one that was live for the partition.
        """
        return predict_partition(predict_chain(release=release), self.name, partition, self.workspace).rows

    def predictions(self, partition: str) -> pd.DataFrame:
        """Return the published rows of a partition, with the columns of ``predictions.<model>``.

        Raises
        ------
        NotPublished
            If the partition is not published.
        """
        url = self.workspace.connection(LEDGER)
        if not any(run.partition == partition for run in Publisher(url).published(self.name)):
            raise NotPublished(
                f"Partition {partition!r} of {self.name!r} is not published.",
                f"Publish it: tidemill predict {self.name} --partition {partition}",
            )
        statement = sql.SQL("SELECT * FROM {} WHERE partition = %s ORDER BY {}").format(
            sql.Identifier("predictions", self.name), sql.Identifier(self.spec.entity_key)
        )
        with transaction(url) as cursor:
            cursor.execute(statement, (partition,))
            return pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description or ()])

    def monitor(self, partition: str) -> pd.DataFrame:
        """Monitor a partition and return its figures; one row for each, as `figures` does. No message is sent."""
        drive(
            "monitor",
            monitor_chain(self.workspace.spec(self.name)),
            self.name,
            partition,
            self.workspace,
            until="report",
        )
        parts: tuple[Part, ...] = ("drift", "performance", "compute", "freshness")
        found = [self.figures(part, since=partition, until=partition).assign(part=part) for part in parts]
        return pd.concat(found, ignore_index=True)

    def figures(self, part: Part, name: str | None = None, *, since: str = "", until: str = _NEWEST) -> pd.DataFrame:
        """Return the newest figures of each partition, oldest partition first.

        Parameters
        ----------
        part : {"drift", "performance", "compute", "freshness", "inspect"}
            What they are about.
        name : str, optional
            One figure, e.g. ``roc_auc``; all by default.
        since, until : str, optional
            Keys of the first and last partition.
        """
        found = Ledger(self.workspace.connection(LEDGER)).metrics(self.name, part, name, since=since, until=until)
        rows = ({"partition": key} | asdict(figure) for key, figures in found.items() for figure in figures)
        return _frame(rows, ["partition", "name", "feature", "slice", "value", "low", "high", "n"])

    def releases(self) -> pd.DataFrame:
        """Return all releases, newest first, those that were refused too, with the gate's reasons."""
        found = list_releases(self.workspace.connection(LEDGER), self.name)
        columns = ["release_id", "partition", "estimator", "metric", "metric_value", "verdict", "live", "reasons"]
        return _frame(map(asdict, found), columns)

    def explain(self, entity: str, partition: str) -> pd.DataFrame:
        """Return what each feature of a published row added to its score, the greatest contribution first.

        Parameters
        ----------
        entity : str
            Entity key of the row.
        """
        row = explain_row(self.workspace, self.spec, entity, partition)
        return _frame(map(asdict, row.parts), ["feature", "raw", "contribution"])

    def quality_chart(self) -> "Chart":
        """Draw the realised acceptance metric of each matured partition, with its interval and the floor."""
        from tidemill.report.charts import metric_over_partitions

        metric, floor = self.spec.accept.metric, self.spec.accept.minimum
        found = Ledger(self.workspace.connection(LEDGER)).metrics(self.name, "performance", metric, until=_NEWEST)
        whole = {key: next((one for one in figures if one.slice is None), None) for key, figures in found.items()}
        values = {key: figure for key, figure in whole.items() if figure is not None}
        return metric_over_partitions(values, title=f"Realised {metric} of {self.name}", threshold=floor)

    def importance_chart(self, evaluation: EvaluationReport) -> "Chart":
        """Draw how much the metric loses when a feature's values are shuffled on the test set."""
        from tidemill.report.charts import importance

        return importance(evaluation.importance)


def open_model(name: str, project: Path) -> Model:
    """Do what `tidemill.open` does."""
    read_environment_file(project / ".tidemill" / "environment")
    workspace = Workspace.from_environment(dags=project / "dags")
    workspace.spec(name)  # fails for an unknown model
    return Model(name, workspace)


def _frame(rows: Iterable[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    """Return rows as a frame of some of their columns, in which figures are numbers even if there are none."""
    frame = pd.DataFrame(list(rows), columns=columns)
    return frame.astype({name: "float64" for name in ("value", "low", "high") if name in columns})
