"""What Airflow finds of Tidemill by itself."""

import subprocess
import sys
from importlib.metadata import entry_points

from tidemill_airflow.plugin import TidemillPlugin


def test_airflow_finds_the_plugin_wherever_the_package_is_installed() -> None:
    (found,) = [item for item in entry_points(group="airflow.plugins") if item.name == "tidemill"]
    assert found.load() is TidemillPlugin


def test_a_task_does_not_load_the_console() -> None:
    # Airflow imports plugins in every process.
    script = "import sys, tidemill_airflow.plugin; print('fastapi' in sys.modules, 'tidemill.report' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-2:] == ["False", "False"]


def test_every_view_leads_to_the_app() -> None:
    ((app,), views) = TidemillPlugin.fastapi_apps, TidemillPlugin.external_views
    assert [view["destination"] for view in views] == ["nav", "dag"]
    assert all(view["href"].startswith(f"{app['url_prefix']}/") for view in views)
