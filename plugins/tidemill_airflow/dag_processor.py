"""What the DAG processor does once, before it forks a process for each DAG file.

Each process inherits the operators and the parsed specs, and parses only a spec that has changed since. Which DAGs cannot
be built is found here, too, so that ``broken_specs.py`` only builds those of changed specs.
"""

import gc
import importlib
from contextlib import suppress
from pathlib import Path

from airflow.configuration import conf

from tidemill.errors import SettingsError, SpecError
from tidemill_airflow.model_dags import rehearse, specs_beside

__all__ = ["prepare"]

N_YOUNG = 50_000
"""Objects until garbage is looked for: a file's DAGs live as long as its process, so there is hardly any."""


def prepare() -> None:
    """Import the operators, read the specs beside the DAG files, and build their DAGs once; the DAG files report what fails."""
    gc.set_threshold(N_YOUNG)
    importlib.import_module("tidemill_airflow.operators")
    beside = str(Path(conf.get("core", "dags_folder")) / "broken_specs.py")
    with suppress(SpecError, SettingsError):
        rehearse(beside, specs_beside(beside))
