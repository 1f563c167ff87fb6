"""The reference pages of the site, generated from the code that they describe."""

import inspect
import re
import tempfile
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import click
import psycopg2
import typer.main

import tidemill_airflow.operators
from tidemill import errors, spec
from tidemill.cli import app
from tidemill.metrics.definitions import DEFINITIONS
from tidemill.monitoring.alerts.families import FAMILIES
from tidemill.postgres.throwaway import throwaway_server
from tidemill.warehouse.migrations import apply_migrations

OPERATORS = tidemill_airflow.operators
"""Their names are made when the package is imported, from the steps' declarations."""
COLUMNS = """
SELECT c.relname, c.relkind = 'v', obj_description(c.oid, 'pg_class'),
       a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE n.nspname = 'tidemill' AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
      AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
"""


def pages() -> dict[str, str]:
    """Return the generated pages, by their path on the site."""
    return {
        "reference/cli.md": command_line(),
        "reference/operators.md": operators(),
        "reference/metrics.md": metrics(),
        "reference/alerts.md": alerts(),
        "reference/errors.md": error_catalogue(),
        "reference/ledger.md": ledger(),
    }


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a Markdown table; cells are escaped and folded into one line."""
    head = list(head)
    lines = [head, ["---"] * len(head), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cell(value: Any) -> str:
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")


def command_line() -> str:
    """Return the page of every command with its arguments and options."""
    group = typer.main.get_command(app)
    parts = ["# Command line\n\n`tidemill --help` lists the commands; every command has `--help` too.\n"]
    with click.Context(group, info_name="tidemill") as context:
        for name, command in sorted(vars(group)["commands"].items()):
            with click.Context(command, info_name=name, parent=context) as inner:
                usage = command.collect_usage_pieces(inner)
                rows = [
                    (f"`{', '.join(item.opts) if item.param_type_name == 'option' else item.name}`",
                     getattr(item, "help", "") or "")
                    for item in command.get_params(inner)
                    if item.name != "help"
                ]  # fmt: skip
            text = inspect.cleandoc(command.help or "")
            options = table(("argument or option", "meaning"), rows) if rows else ""
            parts.append(f"## {name}\n\n```text\ntidemill {name} {' '.join(usage)}\n```\n\n{text}\n\n{options}")
    return "\n".join(parts)


def operators() -> str:
    """Return the page of every operator with its parameters."""
    parts = [
        "# Steps and operators\n\nEvery step has an operator, which your own DAGs can use: "
        "`from tidemill_airflow.operators import TrainOperator`. Besides its own parameters, each takes those of Airflow's "
        "`BaseOperator`. The DAGs in `dags/` are examples. [Architecture](../architecture.md) lists what "
        "each step reads and returns.\n"
    ]
    for name in OPERATORS.__all__:
        parts.append(f"## {name}\n\n{_prose(inspect.getdoc(getattr(OPERATORS, name)) or '')}\n")
    return "\n".join(parts)


def _prose(docstring: str) -> str:
    """Return a docstring of numpy's convention as Markdown."""
    text = re.sub(r"``([^`]+)``", r"`\1`", docstring)
    text = re.sub(r"^(\w[\w ]*)\n-{3,}$", r"**\1**\n", text, flags=re.MULTILINE)
    return re.sub(r"^(\w+) : (.*)\n((?:    .*\n?)*)", _parameter, text, flags=re.MULTILINE)


def _parameter(found: re.Match[str]) -> str:
    meaning = " ".join(found[3].split())
    return f"- `{found[1]}` ({found[2]}){': ' + meaning if meaning else ''}\n"


def metrics() -> str:
    """Return the page of every metric, by task."""
    parts = ["# Metrics\n\nEach with a 95 % interval. `accept.metric` takes those that have a direction.\n"]
    for task, defined in DEFINITIONS.items():
        rows = [
            (f"`{name}`", {True: "higher", False: "lower", None: "neither"}[metric.greater_is_better],
             f"{metric.bounds[0]:g} to {metric.bounds[1]:g}".replace("inf", "∞"),
             "" if metric.no_skill is None else f"{metric.no_skill:g}",
             "yes" if metric.at_acceptance else "", "yes" if metric.estimated else "", "yes" if metric.by_threshold else "")
            for name, metric in defined.items()
        ]  # fmt: skip
        head = (
            "metric",
            "better",
            "range",
            "no skill",
            "at acceptance",
            "estimated before labels",
            "uses the threshold",
        )
        parts.append(f"## {task}\n\n{table(head, rows)}")
    return "\n".join(parts)


def alerts() -> str:
    """Return the page of every family of alert rules."""
    rows = [
        (
            f"[`{name}`](../runbook.md#{name})",
            family.means,
            family.persistence,
            f"`{family.metric}`" if family.metric else "",
        )
        for name, family in FAMILIES.items()
    ]
    head = ("rule", "meaning", "partitions that must show it", "metric plotted")
    return (
        "# Alert rules\n\nA rule is `<family>:<subject>`, such as `nulls:dep_hour`. The link explains what to do. "
        f"[`monitor.rules`](../spec.md#rules) changes thresholds and persistence.\n\n{table(head, rows)}"
        f"\nIn the spec: {', '.join(f'`{name}`' for name in spec.RULES)}.\n"
    )


def error_catalogue() -> str:
    """Return the page of every error, by whether a retry helps."""
    parts = [
        "# Errors\n\nA message names the problem and the next step. Fatal errors are not retried; transient ones are, with "
        "back-off. [When a run fails](../operate/failures.md) says what to do about each.\n"
    ]
    for base in (errors.FatalError, errors.TransientError):
        public = (getattr(errors, name) for name in errors.__all__)
        found = [item for item in public if isinstance(item, type) and issubclass(item, base) and item is not base]
        rows = [(f"`{error.__name__}`", (error.__doc__ or "").partition("\n")[0]) for error in found]
        parts.append(
            f"## {base.__name__}\n\n{(base.__doc__ or '').partition(chr(10))[0]}\n\n{table(('error', 'meaning'), rows)}"
        )
    return "\n".join(parts)


def ledger() -> str:
    """Return the page of the ledger's tables and views, as a migrated Postgres describes them."""
    parts = [
        "# Tables and views\n\nThe schema `tidemill` is the ledger. Analysts read its views, and `predictions.<model>` for the "
        "published rows of a model. The role `tidemill_reader` may read all of it.\n"
    ]
    for (name, is_view, comment), columns in groupby(_columns(), key=lambda row: row[:3]):
        rows = [(f"`{column}`", f"`{kind}`", meaning or "") for *_, column, kind, meaning in columns]
        kind = "View" if is_view else "Table"
        parts.append(f"## {name}\n\n{kind}. {comment or ''}\n\n{table(('column', 'type', 'meaning'), rows)}")
    return "\n".join(parts)


def _columns() -> list[tuple[Any, ...]]:
    with tempfile.TemporaryDirectory() as folder, throwaway_server(Path(folder)) as server:
        url = server.url("tidemill_owner")
        apply_migrations(url)
        connection = psycopg2.connect(url)
        try:
            with connection.cursor() as cursor:
                cursor.execute(COLUMNS)
                return cursor.fetchall()
        finally:
            connection.close()
