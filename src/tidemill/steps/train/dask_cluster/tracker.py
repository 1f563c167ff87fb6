"""XGBoost's tracker, through which the workers of a training find each other, in a separate process.

Run it as ``python -m tidemill.steps.train.dask_cluster.tracker HOST N_WORKERS``. It prints the workers' arguments
as one line of JSON, and ends when its standard input is closed, even if the training process is killed.
"""

import json
import os
import sys

from xgboost.tracker import RabitTracker

__all__: list[str] = []


def _main() -> None:
    host, n_workers = sys.argv[1:]
    tracker = RabitTracker(n_workers=int(n_workers), host_ip=host, sortby="task")
    tracker.start()
    sys.stdout.write(json.dumps(tracker.worker_args()) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)  # freeing a tracker that still waits for workers would block


if __name__ == "__main__":
    _main()
