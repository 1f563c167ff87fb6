"""Retention: removes what is no longer needed, and records each removal.

Rows of prediction runs go first, then the folders that nothing kept depends on. What is published, the champion
and its predecessor, releases that served not long ago, what a rollback can bring back, and what somebody holds are
never touched. Everything here may be killed at any instant and run again. A folder goes in this order: the record of
its end, a rename, the deletion; so no row of the ledger refers to a missing folder as if it existed.

===============  =================================================================
``collection``  the whole, one model after the other, never two at once
``runs``         rows of prediction runs
``folders``      folders on the storage, and which of them are still needed
``ledger_rows``  the ledger's own rows
``removal``      one thing that goes
===============  =================================================================
"""

from tidemill.retention.collection import close_all_lost_runs, collect_garbage
from tidemill.retention.folders import KINDS, kept_folders
from tidemill.retention.ledger_rows import LOOKED_BACK
from tidemill.retention.removal import Removal

__all__ = [
    "KINDS",
    "LOOKED_BACK",
    "Removal",
    "close_all_lost_runs",
    "collect_garbage",
    "kept_folders",
]
