"""The environment of each program: the contract's variables, Airflow's settings, MLflow's settings.

Environment variables are the only configuration there is. Nothing here starts a program or touches a file.
"""

from collections.abc import Mapping
from urllib.parse import quote

from tidemill.local import databases
from tidemill.local.home import Home
from tidemill.local.plan import Plan
from tidemill.local.ports import LOOPBACK
from tidemill.local.secrets import ADMIN_USER, AirflowKeys

__all__ = [
    "airflow_variables",
    "api_url",
    "as_lines",
    "inherited",
    "mlflow_server_variables",
    "mlflow_url",
    "owner_url",
    "task_variables",
    "telling_variables",
    "variables",
]

_OWNER = "TIDEMILL_CONN_TIDEMILL_OWNER"
_CONNECTIONS = {"WAREHOUSE": "tidemill_reader", "TIDEMILL": "tidemill_writer", "TIDEMILL_PROMOTER": "tidemill_promoter"}
# Settings that a shell may hold for another Airflow, MLflow or Postgres, and that would leak into this one.
_FOREIGN = ("AIRFLOW", "_AIRFLOW", "TIDEMILL_", "MLFLOW_", "_MLFLOW", "PG", "SQLALCHEMY")


def api_url(plan: Plan) -> str:
    """Return the address of Airflow's UI and API."""
    return f"http://{LOOPBACK}:{plan.ports.api}"


def mlflow_url(plan: Plan) -> str:
    """Return the address of MLflow's UI and tracking server."""
    return f"http://{LOOPBACK}:{plan.ports.mlflow}"


def owner_url(home: Home, plan: Plan) -> str:
    """Return the URL under which migrations run and data are loaded."""
    return databases.url(home, plan.ports.postgres, "tidemill_owner")


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Keep what a program of the stack may inherit from whoever starts it.

    Parameters
    ----------
    environment : Mapping of str to str
        Usually ``os.environ``.

    Examples
    --------
    >>> inherited({"PATH": "/bin", "PGPASSWORD": "x", "AIRFLOW_HOME": "/elsewhere", "NO_PROXY": "intranet"})
    {'PATH': '/bin', 'NO_PROXY': 'intranet,127.0.0.1,localhost', 'no_proxy': 'intranet,127.0.0.1,localhost'}
    """
    kept = {name: value for name, value in environment.items() if not name.startswith(_FOREIGN)}
    # Behind a company's proxy, tasks would ask the proxy for the API server of this machine.
    direct = ",".join(filter(None, (environment.get("NO_PROXY") or environment.get("no_proxy"), LOOPBACK, "localhost")))
    return kept | {"NO_PROXY": direct, "no_proxy": direct}


def telling_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Keep what tasks have to know of whom to tell: channels for alerts, pages and runbook, and where figures go.

    Examples
    --------
    >>> telling_variables({"TIDEMILL_ALERT_MAIL": "smtp://mail", "TIDEMILL_STORAGE": "/elsewhere"})
    {'TIDEMILL_ALERT_MAIL': 'smtp://mail'}
    >>> telling_variables({"AIRFLOW__METRICS__STATSD_ON": "True", "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"})
    {'AIRFLOW__METRICS__STATSD_ON': 'True'}
    """
    names = ("TIDEMILL_ALERT_", "TIDEMILL_PAGES", "TIDEMILL_RUNBOOK", "AIRFLOW__METRICS__")
    return {name: value for name, value in environment.items() if name.startswith(names)}


def variables(home: Home, plan: Plan) -> dict[str, str]:
    """Return the contract's variables, for the CLI, notebooks and tests."""
    port = plan.ports.postgres
    connections = {f"TIDEMILL_CONN_{name}": databases.url(home, port, role) for name, role in _CONNECTIONS.items()}
    return {
        "TIDEMILL_MODELS": str(plan.project / "dags" / "models"),
        "TIDEMILL_SQL": str(plan.project / "sql"),
        "TIDEMILL_STORAGE": str(home.storage),
        "TIDEMILL_LOCK": str(plan.project / "requirements.txt"),
        **connections,
        _OWNER: owner_url(home, plan),
        "MLFLOW_TRACKING_URI": mlflow_url(plan),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the default of 7 turns a stopped server into minutes of waiting
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds
        **_quiet(),
    }


def task_variables(home: Home, plan: Plan) -> dict[str, str]:
    """Return what tasks see: the same variables without the owner's, and the connections under Airflow's names."""
    seen = {name: value for name, value in variables(home, plan).items() if name != _OWNER}
    port = plan.ports.postgres
    for name, role in _CONNECTIONS.items():
        seen[f"AIRFLOW_CONN_{name}"] = databases.url(home, port, role, scheme="postgres")
    return seen


def mlflow_server_variables(home: Home, plan: Plan) -> dict[str, str]:
    """Return the MLflow server's settings."""
    return {
        "MLFLOW_BACKEND_STORE_URI": databases.url(home, plan.ports.postgres, "mlflow", scheme="postgresql+psycopg2"),
        # The client needs the server's URL alone: files travel through the server.
        "MLFLOW_ARTIFACTS_DESTINATION": f"file://{quote(str(home.artifacts))}",
        "MLFLOW_SERVE_ARTIFACTS": "true",
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"{LOOPBACK}:{plan.ports.mlflow},localhost:{plan.ports.mlflow}",
        # Jobs for language models: three more processes, and code that the server runs on request.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        **_quiet(),
    }


def airflow_variables(home: Home, plan: Plan, keys: AirflowKeys) -> dict[str, str]:
    """Give Airflow's settings, for every component alike.

    Parameters
    ----------
    home : Home
        Where Airflow keeps its logs.
    plan : Plan
        The project and the ports.
    keys : AirflowKeys
        Shared by all components; without them each invents its own and none trusts another.
    """
    settings = {**_core(home, plan), **_database(home, plan), **_api(plan, keys), **_pace(), **_log_settings()}
    return {"AIRFLOW_HOME": str(home.airflow), **{f"AIRFLOW__{name}": value for name, value in settings.items()}}


def _quiet() -> dict[str, str]:
    return {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}


def _core(home: Home, plan: Plan) -> dict[str, str]:
    return {
        "CORE__DAGS_FOLDER": str(plan.project / "dags"),
        "CORE__PLUGINS_FOLDER": str(plan.project / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__EXECUTOR": "tidemill_airflow.warm_executor.WarmLocalExecutor",  # imports once, not once a task
        "CORE__PARALLELISM": "3",  # the executor forks so many workers at once; a laptop has few cores
        "CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN_USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home.login),
        "CORE__HOSTNAME_CALLABLE": "tidemill.local.ports.loopback",
    }


def _database(home: Home, plan: Plan) -> dict[str, str]:
    port = plan.ports.postgres
    return {
        # Both named with their driver: a bare postgresql:// means another one since SQLAlchemy 2.1.
        "DATABASE__SQL_ALCHEMY_CONN": databases.url(home, port, "airflow", scheme="postgresql+psycopg2"),
        "DATABASE__SQL_ALCHEMY_CONN_ASYNC": databases.url(home, port, "airflow", scheme="postgresql+asyncpg"),
    }


def _api(plan: Plan, keys: AirflowKeys) -> dict[str, str]:
    return {
        "API__HOST": LOOPBACK,
        "API__PORT": str(plan.ports.api),
        "API__BASE_URL": api_url(plan),
        "API__WORKERS": "1",
        "CORE__EXECUTION_API_SERVER_URL": f"{api_url(plan)}/execution/",
        "API__SECRET_KEY": keys.secret_key,
        "API_AUTH__JWT_SECRET": keys.jwt_secret,
        "API_AUTH__JWT_ISSUER": "tidemill-local",
        "CORE__FERNET_KEY": keys.fernet_key,
    }


def _pace() -> dict[str, str]:
    return {
        # How long the scheduler sleeps when it found nothing to do: the wait between two tasks of a chain.
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",  # seconds; 1 by default
        # Tasks of a scheduler that was killed are taken up by the next one when its death is noticed (30 seconds) and this
        # look comes round; by default that is every 300.
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",  # seconds
        # A worker that misses the end of its task sleeps until the next heartbeat, and a slot is lost so long: of three
        # workers and 5 seconds (the default) a chain of short tasks feels every one.
        "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # second
        # As many heartbeats may fail before a task gives up: it must survive a restart of the API server.
        "WORKERS__MAX_FAILED_HEARTBEATS": "30",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "5",  # seconds until a new DAG file is seen; 300 by default
        "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "2",  # seconds; how often the interval above is looked at
        "DAG_PROCESSOR__PARSING_PROCESSES": "2",
        # The logs' HTTP servers are not run (see Ports). Port 9, 'discard', is where nobody answers.
        "LOGGING__WORKER_LOG_SERVER_PORT": "9",
        "LOGGING__TRIGGER_LOG_SERVER_PORT": "9",
        "SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": LOOPBACK,
    }


def _log_settings() -> dict[str, str]:
    return {
        "LOGGING__COLORED_CONSOLE_LOG": "False",
        # One traceback for each look at the log of a running task, to say that there is no log server.
        "LOGGING__NAMESPACE_LEVELS": "airflow.utils.log.file_task_handler=CRITICAL",
        "METRICS__STATSD_ON": "False",
        "METRICS__OTEL_ON": "False",
        "TRACES__OTEL_ON": "False",
        "SENTRY__SENTRY_ON": "False",
    }


def as_lines(values: Mapping[str, str]) -> str:
    """Write variables as lines, each value plain: neither quoted nor expanded.

    Examples
    --------
    >>> print(as_lines({"A": "1", "B": "x y"}), end="")
    A=1
    B=x y
    """
    return "".join(f"{name}={value}\n" for name, value in values.items())
