"""The doctor: checks the whole installation and names the remedy for each problem. Works without Airflow.

It reads the ledger, the storage, MLflow and the machine, and changes nothing unless it is asked to repair.
"""

from tidemill.doctor.examine import examine
from tidemill.doctor.findings import Finding, Health
from tidemill.doctor.installation import examine_installation

__all__ = ["Finding", "Health", "examine", "examine_installation"]
