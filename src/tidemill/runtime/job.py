"""The job of a step: its model, its partition, and its workspace."""

from dataclasses import dataclass, field

from tidemill.intervals import Partition
from tidemill.spec import ModelSpec
from tidemill.storage.store import Store
from tidemill.warehouse.alerts.state import Alerts
from tidemill.warehouse.ledger import Ledger, Origin
from tidemill.warehouse.predictions.publisher import Publisher
from tidemill.warehouse.predictions.withholding import Withholding
from tidemill.warehouse.releases.registry import Releases
from tidemill.warehouse.releases.shadows import Shadows
from tidemill.workspace import LEDGER, PROMOTER, Workspace

__all__ = ["Job"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The first argument of every step."""

    spec: ModelSpec
    partition: Partition
    """The partition that the step works on."""
    workspace: Workspace
    """Folders and connections."""
    run_id: int
    """The step's row in ``tidemill.run``."""
    origin: Origin = field(default_factory=Origin)
    """The Airflow task, if there is one."""

    @property
    def store(self) -> Store:
        """Snapshots, bundles and reports."""
        return Store.of(self.workspace)

    @property
    def ledger(self) -> Ledger:
        """The ledger, as the writer."""
        return Ledger(self.workspace.connection(LEDGER))

    @property
    def alerts(self) -> Alerts:
        """Alerts and their outbox, as the writer."""
        return Alerts(self.workspace.connection(LEDGER))

    @property
    def publisher(self) -> Publisher:
        """Claims, prediction runs and the pointer, as the writer."""
        return Publisher(self.workspace.connection(LEDGER))

    @property
    def withholding(self) -> Withholding:
        """Withheld runs, as the writer."""
        return Withholding(self.workspace.connection(LEDGER))

    @property
    def releases(self) -> Releases:
        """Releases, for reading."""
        return Releases(self.workspace.connection(LEDGER))

    @property
    def shadows(self) -> Shadows:
        """What scores in the shadow, for reading."""
        return Shadows(self.workspace.connection(LEDGER))

    @property
    def promoter(self) -> Releases:
        """Releases, for writing."""
        return Releases(self.workspace.connection(PROMOTER))
