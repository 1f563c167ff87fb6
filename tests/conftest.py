"""What holds for every test: how properties are tried, and an Airflow of no one's."""

import atexit
import os
import shutil
import tempfile

from hypothesis import settings

# The first call of some examples imports a library: time says nothing about the code.
settings.register_profile("tidemill", deadline=None, max_examples=50)
settings.load_profile("tidemill")

# Before anything imports Airflow, which reads these once: no test may see the settings of the person who runs it.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="tidemill-airflow-")
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
