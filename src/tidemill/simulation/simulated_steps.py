"""Running a simulated step as in production, but equal steps only once, and without output for readers.

Several policies check the same rows and, on some days, train on the same ones. The first one writes its record to a
file, and the others read it. The keys are digests of the inputs, so a record is shared only if the step would have
returned the same one.
"""

import fcntl
import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Unpack

from tidemill.records import MonitorRef, ProfileRef
from tidemill.runtime.run import RunOptions, run_step

__all__ = ["SimulatedSteps"]

Inputs = Mapping[str, Any]

_ALIKE: Mapping[str, Callable[[Inputs], str]] = {
    "validate_data": lambda inputs: str(inputs["snapshot"]["digest"]),
    "prepare": lambda inputs: str(inputs["snapshot"]["digest"]),
    "train": lambda inputs: f"{inputs['split']['digest']} {inputs['estimator']} {inputs['trials']}",
}
"""Steps whose record depends only on the spec, the partition and this key."""


class SimulatedSteps:
    """Runs the steps of a simulation's policies.

    Parameters
    ----------
    folder : Path
        Folder of the shared records.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def run_step(
        self, chain: str, step: str, model: str, partition: str, inputs: Inputs, **options: Unpack[RunOptions]
    ) -> dict[str, Any]:
        """Run a step, or return the record of an equal one; the arguments are those of ``tidemill.runtime.run.run_step``.

        ``analyse`` draws for readers, and ``compute`` would judge the simulator's own speed: both do nothing here.
        ``evaluate`` draws no charts.
        """
        if step == "analyse":
            return ProfileRef(snapshot_digest=inputs["snapshot"]["digest"], uri="", n_columns=0, findings=()).to_dict()
        if step == "compute":
            return MonitorRef(part=step, n_metrics=0, alerts=(), empty=True).to_dict()
        if step == "evaluate":
            inputs = {**inputs, "shown": False}

        def run() -> dict[str, Any]:
            return run_step(chain, step, model, partition, inputs, **options)

        if step not in _ALIKE:
            return run()
        return self._once(f"{step} {partition} {options.get('cutoff')} {_ALIKE[step](inputs)}", run)

    def _once(self, key: str, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        path = self._folder / hashlib.sha256(key.encode()).hexdigest()
        with path.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # the second process waits; the lock ends with the file or the process
            file.seek(0)
            with suppress(json.JSONDecodeError):  # empty: this process is the first, or the first one failed
                found: dict[str, Any] = json.loads(file.read())
                return found
            record = run()
            file.seek(0)
            file.truncate()
            file.write(json.dumps(record))
            file.flush()
        return record
