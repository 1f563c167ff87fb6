"""The documentation is true: what exists is described, and what is described exists.

What the README and the tutorials show is run: the cheap commands here, ``check``, ``train`` and ``predict`` on real data in
``tests/integration/test_five_minutes.py``, ``make test`` by ``.ci/run``, and ``make demo`` by ``tests/e2e``, which
``.ci/run`` calls too.
"""

import ast
import re
import shlex
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from typer.testing import CliRunner

from tidemill import errors, spec
from tidemill.cli import app
from tidemill.metrics.definitions import DECIDABLE
from tidemill.runtime.declarations import STEPS
from tidemill.runtime.step import Batches, LaterSteps, NoRows, Rows, Step
from tidemill.score.lines import LINES, Line
from tidemill.spec import BASELINES, CANDIDATES, ModelSpec
from tidemill.spec_file import read_spec

PROJECT = Path(__file__).parents[1]
README = PROJECT / "README.md"
FIRST_MODEL = PROJECT / "docs" / "first-model.md"
OPERATE = PROJECT / "docs" / "operate"
COMMANDS_PAGE = OPERATE / "commands.md"
ARCHITECTURE = PROJECT / "docs" / "architecture.md"
SPEC = PROJECT / "docs" / "spec.md"
SCORE = PROJECT / "docs" / "ml-test-score.md"
PAGES = [README, PROJECT / "CHANGELOG.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").rglob("*.md"))]
COMMANDS: dict[str, Any] = vars(typer.main.get_command(app))["commands"]
PARTS = {
    "Top level": spec.ModelSpec, "partitions": spec.Partitions, "source": spec.Source, "source.inputs": spec.Input,
    "label": spec.Label, "features": spec.Features,
    "features.policy": spec.Policy, "contract": spec.Expectation, "train": spec.Train, "train.own": spec.Own,
    "train.folds": spec.Folds,
    "train.leave_out": spec.LeaveOut, "train.search": spec.Search, "train.search.space": spec.Dimension,
    "accept": spec.Accept,
    "predict": spec.Predict, "predict.quarantine": spec.Quarantine, "predict.withhold": spec.Withhold, "ready": spec.Ready,
    "monitor": spec.Monitor,
    "retrain": spec.Retrain,
    "reproduce": spec.Reproduce, "test": spec.Tests, "test.cases": spec.Case,
    "retention": spec.Retention, "attest": spec.Attestation, "rules": spec.Rule,
    "alerts": spec.AlertChannel,
}  # fmt: skip


def named(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def shell_lines(page: str) -> list[str]:
    """Return the command lines of a page's ``sh`` blocks, continued lines joined."""
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def parse(arguments: list[str]) -> None:
    """Let the command's own parser read its arguments, without running it."""
    COMMANDS[arguments[0]].make_context(arguments[0], arguments[1:])


# ---------------------------------------------------------------- make


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):.*## ", text(PROJECT / "Makefile"), re.MULTILINE))


def test_every_make_target_is_documented() -> None:
    documented = set(re.findall(r"`make ([a-z0-9-]+)", text(COMMANDS_PAGE)))
    assert make_targets() - documented == set()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_make_target_on_a_page_exists(page: Path) -> None:
    in_text = re.findall(r"`make ([a-z0-9-]+)", text(page))
    in_blocks = re.findall(r"^make ([a-z0-9-]+)", "\n".join(shell_lines(text(page))), re.MULTILINE)
    assert {*in_text, *in_blocks} - make_targets() == set()


# ---------------------------------------------------------------- command line


def options_of(name: str) -> set[str]:
    parameters = [item for item in COMMANDS[name].params if item.param_type_name == "option" and item.name != "help"]
    # Of a switch that is on by default the page names the side that turns it off.
    return {max(item.secondary_opts or item.opts, key=len) for item in parameters}


def documented_options(name: str) -> set[str]:
    rows = [
        line
        for line in text(COMMANDS_PAGE).splitlines()
        if line.startswith((f"| `tidemill {name} ", f"| `tidemill {name}`"))
    ]
    return {option for row in rows for option in re.findall(r"--[a-z][a-z-]*", row)}


def test_every_command_is_documented() -> None:
    assert set(COMMANDS) == set(re.findall(r"`tidemill ([a-z-]+)", text(COMMANDS_PAGE)))


@pytest.mark.parametrize("name", COMMANDS)
def test_documented_options_are_the_options(name: str) -> None:
    assert documented_options(name) == options_of(name)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_line_on_a_page_parses(page: Path) -> None:
    inline = re.findall(r"`tidemill ([a-z-]+ [^`…A-Z]*)`", text(page))
    blocks = [line.removeprefix("tidemill ") for line in shell_lines(text(page)) if line.startswith("tidemill ")]
    for line in inline + blocks:
        parse(shlex.split(line))


def test_a_command_line_with_an_unknown_option_does_not_parse() -> None:
    with pytest.raises(Exception, match="No such option: --partitions"):
        parse(["train", "flight_delays", "--partitions", "2013-07-01"])


# ---------------------------------------------------------------- what the README runs


def test_help_names_every_command() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    assert [name for name in COMMANDS if name not in shown] == []


def test_check_without_source_passes_on_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_MODELS", str(PROJECT / "dags" / "models"))
    monkeypatch.setenv("TIDEMILL_SQL", str(PROJECT / "sql"))
    monkeypatch.setenv("TIDEMILL_STORAGE", str(tmp_path))
    result = CliRunner().invoke(app, ["check", "--no-source"])
    assert (result.exit_code, result.exception) == (0, None), result.output


def test_published_schema_is_what_the_command_prints() -> None:
    assert CliRunner().invoke(app, ["schema"]).stdout == text(PROJECT / "docs" / "spec.schema.json")


def test_the_spec_of_the_first_model_is_sound(tmp_path: Path) -> None:
    name, content = re.findall(r"```yaml\n# dags/models/(\S+)\n(.*?)```", text(FIRST_MODEL), re.DOTALL)[0]
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_spec(tmp_path / name).model == Path(name).stem


def test_continuous_integration_runs_what_the_readme_promises() -> None:
    run = re.findall(
        r"\bmake (check|test|integration|chaos-short|bench-short|e2e)(?![\w-])", text(PROJECT / ".ci" / "run")
    )
    assert sorted(run) == ["bench-short", "chaos-short", "check", "e2e", "integration", "test"]
    assert 'make("demo")' in text(PROJECT / "tests" / "e2e" / "conftest.py")


def test_hooks_run_the_tools_of_the_lock() -> None:
    repositories = yaml.safe_load(text(PROJECT / ".pre-commit-config.yaml"))["repos"]
    hooks = [hook for repository in repositories if repository["repo"] == "local" for hook in repository["hooks"]]
    assert len(repositories) == 1
    assert {(hook["language"], hook["entry"].split("/")[0]) for hook in hooks} == {("system", ".venv")}


# ---------------------------------------------------------------- code


def step_row(step: Step[..., Any]) -> str:
    """Return a step's row of the table in the page, from its declaration."""
    inputs = [f"*{name}*" if taken.chosen else name for name, taken in step.inputs.items()]
    memory = {
        NoRows: "",
        Rows: "{0.times:g} copies of the rows",
        Batches: "{0.times:g} copies of some batches",
        LaterSteps: "checks the later steps",
    }[type(step.memory)]
    limit = step.limit // timedelta(minutes=1)
    cells = (
        f"`{step.name}`{' in Airflow' if step.airflow_only else ''}",
        ", ".join(step.chains),
        ", ".join(inputs),
        f"`{step.record.__name__}`",
        f"{limit} min" if limit % 60 else f"{limit // 60} h",
        memory.format(step.memory),
    )
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def test_the_table_of_steps_is_that_of_their_declarations() -> None:
    head = "| step | chains | takes | returns | limit | memory |\n|---|---|---|---|---|---|\n"
    table = head + "\n".join(map(step_row, STEPS.values())) + "\n"
    assert table in text(ARCHITECTURE), f"docs/architecture.md needs this table:\n{table}"


def test_every_operator_that_does_more_than_its_step_is_documented() -> None:
    folder = PROJECT / "plugins" / "tidemill_airflow" / "operators"
    classes = {
        node.name
        for path in folder.glob("*.py")
        for node in ast.parse(text(path)).body
        if isinstance(node, ast.ClassDef)
    }
    assert classes == set(re.findall(r"`([A-Z]\w+Operator)`", text(ARCHITECTURE))) - {"SummariseOperator"}


def test_every_field_of_the_trigger_forms_is_documented() -> None:
    # Read and not imported: importing it loads Airflow.
    source = ast.parse(text(PROJECT / "plugins" / "tidemill_airflow" / "params.py"))
    (model,) = [node for node in source.body if isinstance(node, ast.ClassDef) and node.name == "RunParams"]
    fields = [ast.unparse(node.target) for node in model.body if isinstance(node, ast.AnnAssign)]
    table = text(OPERATE / "airflow.md").split("| field | on |")[1].split("\n\n")[0]
    cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert set(fields) == {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_error_is_documented() -> None:
    table = text(OPERATE / "failures.md").split("\n## ")[0]
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    names = {value.__name__ for value in classes if issubclass(value, errors.TidemillError)}
    assert names - {"TidemillError"} == set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def test_every_table_of_the_ledger_is_documented() -> None:
    migrations = "\n".join(text(path) for path in sorted((PROJECT / "sql" / "migrations").glob("*.sql")))
    tables = set(re.findall(r"^CREATE TABLE tidemill\.(\w+)", migrations, re.MULTILINE))
    tables |= set(re.findall(r"^ALTER TABLE tidemill\.\w+ RENAME TO (\w+)", migrations, re.MULTILINE))
    ledger = text(ARCHITECTURE).split("## The ledger")[1].split("### Roles")[0]
    assert tables == set(re.findall(r"^\| `(\w+)` \|", ledger, re.MULTILINE))


def test_every_room_is_documented() -> None:
    package = PROJECT / "src" / "tidemill"
    rooms = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    drawn = set(re.findall(r"\w+", text(ARCHITECTURE).split("```")[1]))
    assert rooms - {"__init__", "versions"} - drawn == set()


def score_row(line: Line) -> str:
    """Return a line's row of the table in the page, from its declaration."""
    lengths = {need.name: f" or {need.partitions} partitions" if need.partitions else "" for need in line.needs}
    needs = [f"{need.what} ({need.days} days{lengths[need.name]})" for need in line.needs]
    return f"| `{line.name}` | {line.title} | {'; '.join(needs) or 'nothing is recorded yet'} |"


def test_the_lines_of_the_score_are_those_that_are_declared() -> None:
    rows = re.findall(r"^\| `\w+` \| .*\|$", text(SCORE).split("## Lines")[1].split("\n## ")[0], re.MULTILINE)
    assert rows == [score_row(line) for line in LINES]


# ---------------------------------------------------------------- the spec


def spec_rows(part: str) -> dict[str, list[str]]:
    """Return the cells after the key of each row of a part's table, by key."""
    heading = f"## {part}" if part == "Top level" else f"## `{part}`"
    section = text(SPEC).split(f"{heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {row[0].strip().strip("`"): [cell.strip() for cell in row[1:]] for row in rows}


def shown(default: Any) -> str:
    """Write a default as the page does."""
    return "required" if default is PydanticUndefined else f"`{as_yaml(default)}`"


def as_yaml(value: Any) -> str:
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case Enum():
            return str(value.value)
        case timedelta():
            days, rest = divmod(value, timedelta(days=1))
            whole = not rest % timedelta(hours=1)
            hours = f"{rest // timedelta(hours=1)} hours" if whole else f"{rest // timedelta(minutes=1)} minutes"
            return hours if rest else f"{days} days"
        case tuple():
            return f"[{', '.join(value)}]"
        case BaseModel():
            return "{}"
        case _:
            return str(value) or '""'


@pytest.mark.parametrize("part", PARTS)
def test_every_key_of_a_part_is_documented(part: str) -> None:
    assert list(spec_rows(part)) == list(PARTS[part].model_fields)


@pytest.mark.parametrize("part", PARTS)
def test_documented_defaults_are_the_defaults(part: str) -> None:
    documented = {key: cells[1] for key, cells in spec_rows(part).items()}
    assert documented == {
        name: shown(field.get_default(call_default_factory=True)) for name, field in PARTS[part].model_fields.items()
    }


@pytest.mark.parametrize("part", PARTS)
def test_every_key_has_a_type_and_a_meaning(part: str) -> None:
    assert all(len(cells) == 3 and all(cells) for cells in spec_rows(part).values())


def test_every_part_of_the_spec_has_a_table() -> None:
    exported = [getattr(spec, name) for name in spec.__all__]
    assert {item for item in exported if isinstance(item, type) and issubclass(item, BaseModel)} == {*PARTS.values()}


def test_estimators_and_metrics_named_are_those_that_exist() -> None:
    train, accept = spec_rows("train")["estimators"][2], spec_rows("accept")["metric"][2]
    assert set(re.findall(r"`(\w+)`", train)) == {*CANDIDATES, *BASELINES}
    parts = re.split(r"(Binary|Multiclass|Regression)\b", accept)[1:]
    named = {
        task.lower(): set(re.findall(r"`(\w+)`", part)) for task, part in zip(parts[::2], parts[1::2], strict=True)
    }
    assert named == {task: set(names) for task, names in DECIDABLE.items()}


def test_spaces_of_the_page_are_those_that_exist() -> None:
    from tidemill.modeling.search.space import SPACES

    section = text(SPEC).split("## Default search spaces\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (`.*`.*) \|$", section, re.MULTILINE)
    assert dict(rows) == {
        name: ", ".join(
            f"`{key}` {one.low:.9g} to {one.high:.9g}{' (log)' if one.log else ''}" for key, one in space.items()
        )
        for name, space in SPACES.items()
    }


def test_contract_of_the_page_is_one_that_the_spec_takes() -> None:
    contract = yaml.safe_load(re.findall(r"```yaml\n(contract:.*?)```", text(SPEC), re.DOTALL)[0])["contract"]
    required = {
        "model": "m", "task": "binary", "entity_key": "k", "event_time": "t",
        "source": {"features": "m/f.sql", "labels": "m/l.sql"}, "label": {"column": "y"},
    }  # fmt: skip
    assert len(ModelSpec.model_validate(required | {"contract": contract}).contract) == len(contract)


# ---------------------------------------------------------------- pages


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        assert goal.exists(), f"{named(page)} links to {target}"
        assert not anchor or anchor in anchors(goal), f"{named(page)} links to {target}"


def test_pictures_are_small() -> None:
    sizes = {named(path): path.stat().st_size for path in (PROJECT / "docs" / "images").iterdir()}
    assert {name: size for name, size in sizes.items() if size > 300_000} == {}


def test_every_picture_is_shown() -> None:
    pages = "\n".join(text(page) for page in PAGES)
    assert [path.name for path in (PROJECT / "docs" / "images").iterdir() if path.name not in pages] == []


def test_decisions_are_numbered_without_gaps_and_have_their_four_parts() -> None:
    records = sorted((PROJECT / "docs" / "adr").glob("*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for path in records:
        assert re.findall(r"^(Status|## \w+)", text(path), re.MULTILINE) == [
            "Status",
            "## Context",
            "## Decision",
            "## Consequences",
        ], named(path)


# ---------------------------------------------------------------- alerts


def runbook_sections() -> dict[str, str]:
    parts = re.split(r"^## (\w+)$", text(PROJECT / "docs" / "runbook.md"), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_rule_has_a_section_in_the_runbook() -> None:
    assert set(runbook_sections()) == set(spec.RULES)


@pytest.mark.parametrize("rule", spec.RULES)
def test_a_section_of_the_runbook_says_when_the_rule_opens_an_alert_and_what_to_do(rule: str) -> None:
    from tidemill.monitoring.alerts.families import FAMILIES

    assert f"{FAMILIES[rule].persistence} partition" in runbook_sections()[rule]
    assert "1. " in runbook_sections()[rule]
