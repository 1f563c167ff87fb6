"""The environment variables of each program: the CLI's, the tasks', Airflow's and MLflow's.

Environment variables are the only configuration. This module starts no program and reads no file.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from tidemill.local.config import StackConfig, server_of
from tidemill.local.home import Home
from tidemill.local.secrets import AirflowKeys
from tidemill.machine.ports import LOOPBACK

__all__ = [
    "airflow_variables",
    "api_url",
    "as_lines",
    "inherited",
    "mlflow_login_variables",
    "mlflow_server_variables",
    "mlflow_url",
    "owner_url",
    "reporting_variables",
    "task_variables",
    "variables",
]

_OWNER = "TIDEMILL_CONN_TIDEMILL_OWNER"
_CONNECTIONS = {"WAREHOUSE": "tidemill_reader", "TIDEMILL": "tidemill_writer", "TIDEMILL_PROMOTER": "tidemill_promoter"}
# Prefixes of variables that a shell may set for another Airflow, MLflow or Postgres; they must not reach this one.
_FOREIGN = ("AIRFLOW", "_AIRFLOW", "TIDEMILL_", "MLFLOW_", "_MLFLOW", "PG", "SQLALCHEMY")


def api_url(config: StackConfig) -> str:
    """Return the address of Airflow's UI and API."""
    return f"http://{LOOPBACK}:{config.ports.api}"


def mlflow_url(config: StackConfig) -> str:
    """Return the address of MLflow's UI and tracking server."""
    return f"http://{LOOPBACK}:{config.ports.mlflow}"


def owner_url(home: Home, config: StackConfig) -> str:
    """Return the URL of the role that runs migrations and loads data."""
    return server_of(home, config).url("tidemill_owner")


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a program of the stack may inherit from its caller.

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
    # Behind a company's proxy, tasks would otherwise ask the proxy for this machine's API server.
    direct = ",".join(filter(None, (environment.get("NO_PROXY") or environment.get("no_proxy"), LOOPBACK, "localhost")))
    return kept | {"NO_PROXY": direct, "no_proxy": direct}


def reporting_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that say where tasks report: alert channels, pages, runbook and metrics.

    Examples
    --------
    >>> reporting_variables({"TIDEMILL_ALERT_MAIL": "smtp://mail", "TIDEMILL_STORAGE": "/elsewhere"})
    {'TIDEMILL_ALERT_MAIL': 'smtp://mail'}
    >>> reporting_variables({"AIRFLOW__METRICS__STATSD_ON": "True", "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"})
    {'AIRFLOW__METRICS__STATSD_ON': 'True'}
    """
    names = ("TIDEMILL_ALERT_", "TIDEMILL_PAGES", "TIDEMILL_RUNBOOK", "AIRFLOW__METRICS__")
    return {name: value for name, value in environment.items() if name.startswith(names)}


def variables(home: Home, config: StackConfig) -> dict[str, str]:
    """Return the variables of the CLI, notebooks and tests."""
    server = server_of(home, config)
    connections = {f"TIDEMILL_CONN_{name}": server.url(role) for name, role in _CONNECTIONS.items()}
    return {
        "TIDEMILL_MODELS": str(config.project / "dags" / "models"),
        "TIDEMILL_SQL": str(config.project / "sql"),
        "TIDEMILL_STORAGE": str(home.storage),
        "TIDEMILL_LOCK": str(config.project / "requirements.txt"),
        **connections,
        _OWNER: owner_url(home, config),
        "MLFLOW_TRACKING_URI": mlflow_url(config),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the default of 7 means minutes of waiting for a stopped server
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds
        **_quiet(),
    }


def task_variables(home: Home, config: StackConfig) -> dict[str, str]:
    """Return the variables of tasks: without the owner's, and with the connections under Airflow's names."""
    seen = {name: value for name, value in variables(home, config).items() if name != _OWNER}
    server = server_of(home, config)
    for name, role in _CONNECTIONS.items():
        seen[f"AIRFLOW_CONN_{name}"] = server.url(role, scheme="postgres")
    return seen


def mlflow_server_variables(home: Home, config: StackConfig) -> dict[str, str]:
    """Return the variables of the MLflow server."""
    return {
        "MLFLOW_BACKEND_STORE_URI": server_of(home, config).url("mlflow", scheme="postgresql+psycopg2"),
        # Files travel through the server, so clients need only its URL.
        "MLFLOW_ARTIFACTS_DESTINATION": f"file://{quote(str(home.artifacts))}",
        "MLFLOW_SERVE_ARTIFACTS": "true",
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"{LOOPBACK}:{config.ports.mlflow},localhost:{config.ports.mlflow}",
        # Jobs for language models: three more processes, and they run code on request.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        **_quiet(),
    }


def mlflow_login_variables(login: tuple[str, str]) -> dict[str, str]:
    """Return the login as the two variables that both the MLflow server and its clients read."""
    return {"MLFLOW_TRACKING_USERNAME": login[0], "MLFLOW_TRACKING_PASSWORD": login[1]}


def airflow_variables(home: Home, config: StackConfig, keys: AirflowKeys, users: Sequence[str]) -> dict[str, str]:
    """Return Airflow's settings, the same for every component.

    Parameters
    ----------
    keys : AirflowKeys
        Shared by all components; otherwise each generates its own, and none trusts another.
    users : sequence of str
        The users of the UI, each with every right.
    """
    settings = {
        **_core(home, config, users),
        **_database(home, config),
        **_api(config, keys),
        **_pace(),
        **_log_settings(),
    }
    return {"AIRFLOW_HOME": str(home.airflow), **{f"AIRFLOW__{name}": value for name, value in settings.items()}}


def _quiet() -> dict[str, str]:
    return {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}


def _core(home: Home, config: StackConfig, users: Sequence[str]) -> dict[str, str]:
    return {
        "CORE__DAGS_FOLDER": str(config.project / "dags"),
        "CORE__PLUGINS_FOLDER": str(config.project / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__EXECUTOR": "tidemill_airflow.warm_executor.WarmLocalExecutor",  # imports once, not once per task
        "CORE__PARALLELISM": "3",  # the executor forks this many workers at once; a laptop has few cores
        "CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:admin" for user in users),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home.login),
        "CORE__HOSTNAME_CALLABLE": "tidemill.local.ports.loopback",
    }


def _database(home: Home, config: StackConfig) -> dict[str, str]:
    server = server_of(home, config)
    return {
        # Both name their driver: a bare postgresql:// means a different one since SQLAlchemy 2.1.
        "DATABASE__SQL_ALCHEMY_CONN": server.url("airflow", scheme="postgresql+psycopg2"),
        "DATABASE__SQL_ALCHEMY_CONN_ASYNC": server.url("airflow", scheme="postgresql+asyncpg"),
    }


def _api(config: StackConfig, keys: AirflowKeys) -> dict[str, str]:
    return {
        "API__HOST": LOOPBACK,
        "API__PORT": str(config.ports.api),
        "API__BASE_URL": api_url(config),
        "API__WORKERS": "1",
        "CORE__EXECUTION_API_SERVER_URL": f"{api_url(config)}/execution/",
        "API__SECRET_KEY": keys.secret_key,
        "API_AUTH__JWT_SECRET": keys.jwt_secret,
        "API_AUTH__JWT_ISSUER": "tidemill-local",
        "CORE__FERNET_KEY": keys.fernet_key,
    }


def _pace() -> dict[str, str]:
    return {
        # How long the idle scheduler sleeps, which is the wait between two tasks of a chain.
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",  # seconds; 1 by default
        # How often a scheduler looks for tasks of a killed one, whose death it notices after 30 seconds; 300 by default.
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",  # seconds
        # A worker that misses the end of its task sleeps until the next heartbeat and blocks its slot. With three slots and
        # the default of 5 seconds, that delays every chain of short tasks.
        "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # second
        # Failed heartbeats before a task gives up: it must survive a restart of the API server.
        "WORKERS__MAX_FAILED_HEARTBEATS": "30",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "5",  # seconds until a new DAG file is seen; 300 by default
        "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "2",  # seconds; how often the interval above is checked
        "DAG_PROCESSOR__PARSING_PROCESSES": "2",
        # The DAG processor stores the DAGs of one file at a time. Meanwhile the processes of other files wait, and count as
        # running: with hundreds of specs on a busy machine for longer than the defaults of 50 and 30 seconds.
        "DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "300",  # seconds
        "CORE__DAGBAG_IMPORT_TIMEOUT": "120",  # seconds
        # The HTTP servers of the logs are not run (see Ports). Nothing answers on port 9, 'discard'.
        "LOGGING__WORKER_LOG_SERVER_PORT": "9",
        "LOGGING__TRIGGER_LOG_SERVER_PORT": "9",
        "SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": LOOPBACK,
    }


def _log_settings() -> dict[str, str]:
    return {
        "LOGGING__COLORED_CONSOLE_LOG": "False",
        # It would log a traceback for each view of a running task's log, because there is no log server.
        "LOGGING__NAMESPACE_LEVELS": "airflow.utils.log.file_task_handler=CRITICAL",
        "METRICS__STATSD_ON": "False",
        "METRICS__OTEL_ON": "False",
        "TRACES__OTEL_ON": "False",
        "SENTRY__SENTRY_ON": "False",
    }


def as_lines(values: Mapping[str, str]) -> str:
    """Return variables as lines; values are neither quoted nor expanded.

    Examples
    --------
    >>> print(as_lines({"A": "1", "B": "x y"}), end="")
    A=1
    B=x y
    """
    return "".join(f"{name}={value}\n" for name, value in values.items())
