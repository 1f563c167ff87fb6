import subprocess
import sys

HEAVY = {"pandas", "scipy", "sklearn", "xgboost", "mlflow", "airflow", "great_expectations"}

WORK = """
import io, sys
import numpy as np
import pyarrow.csv
from tidemill.monitoring import calibration, change, compute, drift, estimate, performance, profile, retrain_policy
from tidemill.monitoring.alerts import persistence, rules

rows = b"hour,carrier,late\\n6,UA,true\\n,AA,false\\n7,,true\\n"
table = pyarrow.csv.read_csv(io.BytesIO(rows))
reference = profile.build_profile(table, ["hour", "late"], ["carrier"], blocks=np.arange(3))
counted = profile.count_table(reference, table)
counted = tuple(map(profile.merge, counted, counted))
figures = drift.detect_drift(reference, counted)
figures += performance.realised_quality([0, 1], [0.1, 0.9], label_coverage=1.0)
figures += performance.realised_quality(["a"], [[1.0]], label_coverage=1.0, task="multiclass", classes=["a"])
figures += performance.realised_quality([0.0, 1.0], [0.1, 0.9], label_coverage=1.0, task="regression")
rules.raise_alerts(figures, rules.AlertThresholds())
profile.ColumnProfile.from_dict(reference[0].to_dict())
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_monitoring_a_partition_loads_no_heavy_library():
    run = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=True, timeout=60)
    assert HEAVY & set(run.stdout.split()) == set()
