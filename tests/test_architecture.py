"""The code's shape: what a reader may rely on everywhere, held by a test so that it does not drift."""

import ast
import dataclasses
import importlib.util
import inspect
import re
import statistics
import subprocess
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tidemill import errors, records
from tidemill.errors import FatalError, TidemillError, TransientError
from tidemill.local import components, settings
from tidemill.local.config import StackConfig
from tidemill.local.home import Home
from tidemill.local.ports import Ports
from tidemill.local.secrets import airflow_keys
from tidemill.postgres.cluster import Cluster

PROJECT = Path(__file__).parents[1]
ROOTS = [PROJECT / name for name in ("src", "plugins", "examples")]
SOURCES = sorted(path for root in ROOTS for path in root.rglob("*.py"))
DAG_FILES = sorted((PROJECT / "dags").glob("*.py"))
OPERATOR_FILES = sorted((PROJECT / "plugins/tidemill_airflow/operators").glob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in [*SOURCES, *DAG_FILES]}

MAX_FILE = 400  # lines
MAX_BODY, MAX_MEDIAN_BODY, MAX_P90_BODY = 40, 6, 20  # lines of a function below its docstring
MAX_PARAMETERS = 6  # more become a value
MAX_FOLDER = 15  # files flat in a folder, beside __init__.py
MAX_DAG_FILE, MAX_OPERATOR_FILE = 60, 120  # lines
FAULTS = "src/tidemill/faults.py"
"""Breaks things on a chaos test's order, in ways that the rest of the code must not expect."""
SLEEPERS = {
    "plugins/tidemill_airflow/triggers/ready.py",
    "src/tidemill/machine/polling.py",
    "src/tidemill/local/airflow_api.py",
    "plugins/tidemill_airflow/operators/trigger_training.py",
    FAULTS,
}
"""Who may sleep: beside that, those that wait for other programs, which tell nobody when they are ready."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def offenders(paths: Iterable[Path], find: Callable[[Path], Collection[Any]]) -> dict[str, Collection[Any]]:
    """Return what was found wrong, by file; a test shows all of it at once."""
    found = {name_of(path): find(path) for path in paths}
    return {name: wrong for name, wrong in found.items() if wrong}


def n_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def n_body_lines(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def parameters(function: Function) -> list[str]:
    given = function.args
    names = [argument.arg for argument in [*given.posonlyargs, *given.args, *given.kwonlyargs]]
    return [name for name in names if name not in ("self", "cls")]


def is_command(path: Path) -> bool:
    """Whether a file's functions are commands, whose parameters are the options that a user sees."""
    return (PROJECT / "src" / "tidemill" / "cli") in path.parents


def module_of(path: Path) -> str:
    root = next(root for root in ROOTS if root in path.parents)
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def imports_of(tree: ast.Module, module: str, modules: Collection[str]) -> set[str]:
    """Return the modules that one imports anywhere, in functions too, except for type checking."""
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= named & set(modules) or {node.module}
    return (found & set(modules)) - {module}


# ---------------------------------------------------------------- sizes


def test_no_file_grows_beyond_what_a_reader_takes_in() -> None:
    assert {name_of(path): n_lines(path) for path in SOURCES if n_lines(path) > MAX_FILE} == {}


def test_no_function_grows_beyond_a_screen() -> None:
    assert offenders(TREES, lambda path: [f.name for f in functions(TREES[path]) if n_body_lines(f) > MAX_BODY]) == {}


def test_functions_are_short() -> None:
    lengths = [n_body_lines(function) for tree in TREES.values() for function in functions(tree)]
    assert statistics.median(lengths) <= MAX_MEDIAN_BODY
    assert statistics.quantiles(lengths, n=10)[-1] <= MAX_P90_BODY


def test_no_function_takes_more_parameters_than_a_reader_remembers() -> None:
    def too_many(path: Path) -> list[str]:
        return [f.name for f in functions(TREES[path]) if len(parameters(f)) > MAX_PARAMETERS and not is_command(path)]

    assert offenders(TREES, too_many) == {}


def test_no_folder_holds_more_files_than_a_stranger_searches() -> None:
    folders = Counter(path.parent for path in SOURCES if path.name != "__init__.py")
    assert {name_of(folder): n for folder, n in folders.items() if n > MAX_FOLDER} == {}


def test_the_formatter_lays_out_everything_but_literal_tables() -> None:
    literals = ast.Dict | ast.List | ast.Tuple | ast.Set

    def elsewhere(path: Path) -> list[int]:
        lines = path.read_text(encoding="utf-8").splitlines()
        assigned = [node for node in ast.walk(TREES[path]) if isinstance(node, ast.Assign | ast.AnnAssign)]
        tables = {node.end_lineno for node in assigned if isinstance(node.value, literals)}
        return [number for number, line in enumerate(lines, 1) if "# fmt: skip" in line and number not in tables]

    assert offenders(TREES, elsewhere) == {}


def test_no_import_circle_lazy_imports_included() -> None:
    modules = {module_of(path): path for path in SOURCES}
    waiting = {name: imports_of(TREES[path], name, modules) for name, path in modules.items()}
    while free := [name for name, needed in waiting.items() if not needed & waiting.keys()]:
        waiting = {name: needed for name, needed in waiting.items() if name not in free}
    assert waiting == {}


def test_every_function_declares_what_it_returns() -> None:
    assert offenders(TREES, lambda path: [f.name for f in functions(TREES[path]) if f.returns is None]) == {}


def test_a_dag_file_stays_small() -> None:
    assert {name_of(path): n_lines(path) for path in DAG_FILES if n_lines(path) > MAX_DAG_FILE} == {}


def test_a_dag_file_is_only_wiring() -> None:
    assert offenders(DAG_FILES, lambda path: [f.name for f in functions(TREES[path])]) == {}


def test_an_operator_file_stays_small() -> None:
    assert {name_of(path): n_lines(path) for path in OPERATOR_FILES if n_lines(path) > MAX_OPERATOR_FILE} == {}


# ---------------------------------------------------------------- names


def test_what_tests_import_inside_functions_exists() -> None:
    """Mypy does not read tests, and a thread of a test that cannot import leaves the test waiting."""
    tests = {path: ast.parse(path.read_text(encoding="utf-8")) for path in (PROJECT / "tests").rglob("*.py")}
    asked = {
        (str(path.relative_to(PROJECT)), node.module)
        for path, tree in tests.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module and node.module.startswith("tidemill")
    }
    assert [(path, module) for path, module in sorted(asked) if importlib.util.find_spec(module) is None] == []


def defined(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Names of the functions and classes of a module, and of everything else bound at its top level."""
    things, others = set(), set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            things.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            others |= {alias.asname or alias.name for alias in node.names}
        else:
            others |= {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}
    return things, others


def exported(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def test_a_module_exports_only_what_it_has() -> None:
    assert offenders(SOURCES, lambda path: set(exported(TREES[path])) - set.union(*defined(TREES[path]))) == {}


def test_a_module_exports_every_public_function_and_class() -> None:
    def forgotten(path: Path) -> set[str]:
        return {name for name in defined(TREES[path])[0] if name[0] != "_"} - set(exported(TREES[path]))

    commands = PROJECT / "src" / "tidemill" / "cli"  # reached through ``app``
    assert offenders([path for path in SOURCES if commands not in path.parents], forgotten) == {}


def test_nobody_imports_a_private_name() -> None:
    def private(path: Path) -> list[str]:
        imports = [node for node in ast.walk(TREES[path]) if isinstance(node, ast.ImportFrom)]
        return [alias.name for node in imports for alias in node.names if re.match(r"_(?!_)", alias.name)]

    assert offenders(TREES, private) == {}


def test_a_module_says_what_it_is_for() -> None:
    assert [name_of(path) for path, tree in TREES.items() if not ast.get_docstring(tree)] == []


def test_everything_public_has_a_docstring() -> None:
    def undocumented(body: Iterable[ast.stmt]) -> list[str]:
        public = [node for node in body if isinstance(node, Function | ast.ClassDef) and node.name[0] != "_"]
        members = [name for node in public if isinstance(node, ast.ClassDef) for name in undocumented(node.body)]
        return [node.name for node in public if ast.get_docstring(node) is None] + members

    tests_of_models = PROJECT / "src" / "tidemill" / "testing" / "pack.py"  # a test's name states the fact
    assert offenders(TREES.keys() - {tests_of_models}, lambda path: undocumented(TREES[path].body)) == {}


def test_the_table_of_a_room_lists_its_modules() -> None:
    def astray(path: Path) -> set[str]:
        table = (ast.get_docstring(TREES[path]) or "").split("\n====")[1:-1]
        listed = set(re.findall(r"^``(\w+)``", "\n".join(table), re.MULTILINE))
        modules = {item.stem for item in path.parent.glob("[!_]*.py")} | {
            item.parent.name for item in path.parent.glob("*/__init__.py")
        }
        return (listed - {item.stem for item in path.parent.iterdir()}) | (modules - listed) if table else set()

    assert offenders([path for path in SOURCES if path.stem == "__init__"], astray) == {}


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base", "core"}
    assert [name_of(path) for path in TREES if path.stem in drawers] == []


# ---------------------------------------------------------------- errors

ERRORS = [item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, TidemillError)]


@pytest.mark.parametrize("error", ERRORS)
def test_the_tree_draws_each_error_below_its_parent(error: type[TidemillError]) -> None:
    drawn = re.search(rf"^ {{4}}([│├└─ ]*){error.__name__}\b", errors.__doc__ or "", re.MULTILINE)
    assert drawn is not None
    assert len(drawn[1]) // 4 == len(error.__mro__) - len(TidemillError.__mro__)


def test_the_tree_draws_no_error_that_does_not_exist() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    assert sorted(drawn) == sorted(error.__name__ for error in ERRORS if error is not TidemillError)


@pytest.mark.parametrize("error", [item for item in ERRORS if item not in (TidemillError, FatalError, TransientError)])
def test_an_error_says_by_its_branch_what_the_caller_should_do(error: type[TidemillError]) -> None:
    assert error.__mro__[1] in (FatalError, TransientError)


def test_errors_live_in_one_file() -> None:
    parents = {error.__name__ for error in ERRORS} | {
        "Exception",
        "BaseException",
        "ValueError",
        "RuntimeError",
        "OSError",
    }

    def defines(path: Path) -> list[str]:
        classes = [node for node in ast.walk(TREES[path]) if isinstance(node, ast.ClassDef)]
        return [node.name for node in classes if parents & {ast.unparse(base) for base in node.bases}]

    assert offenders(SOURCES, defines).keys() - {FAULTS} == {"src/tidemill/errors.py"}


def test_nothing_but_the_tree_and_mistakes_of_programming_is_raised() -> None:
    allowed = {error.__name__ for error in ERRORS} | {"ValueError", "TypeError", "AirflowSkipException"}

    def raises(path: Path) -> set[str]:
        calls = [node.exc for node in ast.walk(TREES[path]) if isinstance(node, ast.Raise)]
        names = {call.func.id for call in calls if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)}
        return {name for name in names - allowed if name[0].isupper()}

    assert offenders([path for path in TREES if name_of(path) != FAULTS], raises) == {}


# ---------------------------------------------------------------- records

RECORDS = [item for item in vars(records).values() if inspect.isclass(item) and dataclasses.is_dataclass(item)]


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_is_frozen_slotted_and_built_by_name(record: type) -> None:
    assert record.__dataclass_params__.frozen
    assert "__slots__" in vars(record)
    assert all(field.kw_only for field in dataclasses.fields(record))


def test_every_class_with_records_methods_is_a_dataclass() -> None:
    derived = [item for item in vars(records).values() if inspect.isclass(item) and issubclass(item, records.Record)]
    assert [item for item in derived if not dataclasses.is_dataclass(item)] == [records.Record]


# ---------------------------------------------------------------- what the code must not do

PICKLES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def test_no_library_that_pickles_is_imported() -> None:
    def imports(path: Path) -> set[str]:
        nodes = [node for node in ast.walk(TREES[path]) if isinstance(node, ast.Import | ast.ImportFrom)]
        names = [
            name for node in nodes for name in [*(alias.name for alias in node.names), getattr(node, "module", "")]
        ]
        return {(name or "").partition(".")[0] for name in names} & PICKLES

    assert offenders(TREES, imports) == {}


def test_no_library_is_asked_to_pickle() -> None:
    def asks(path: Path) -> list[str]:
        nodes = list(ast.walk(TREES[path]))
        methods = [node.attr for node in nodes if isinstance(node, ast.Attribute) and node.attr.endswith("_pickle")]
        options = [node for node in nodes if isinstance(node, ast.keyword) and node.arg == "allow_pickle"]
        return methods + [ast.unparse(option) for option in options if ast.unparse(option.value) != "False"]

    assert offenders(TREES, asks) == {}


def test_no_model_is_loaded_through_mlflow() -> None:
    def loads(path: Path) -> list[str]:
        calls = [ast.unparse(node.func) for node in ast.walk(TREES[path]) if isinstance(node, ast.Call)]
        return [call for call in calls if call.endswith(".load_model") and call != "booster.load_model"]

    assert offenders(TREES, loads) == {}


def test_nobody_sleeps_but_those_that_wait_for_other_programs() -> None:
    def sleeps(path: Path) -> list[int]:
        calls = [node for node in ast.walk(TREES[path]) if isinstance(node, ast.Call)]
        return [call.lineno for call in calls if ast.unparse(call.func).rpartition(".")[2] == "sleep"]

    assert set(offenders(SOURCES, sleeps)) <= SLEEPERS


CLOCKS = {
    "plugins/tidemill_airflow/triggers/ready.py": "when to wake a task that waits; the step itself asks the ledger's clock",
    "src/tidemill/cli/local.py": "names a backup",
    "src/tidemill/cli/onboarding.py": "the partition of today, named to whoever drafts a model without a time",
    "src/tidemill/cli/simulation.py": "the newest partition, where none is named; nothing is recorded",
    "src/tidemill/delivery/sending.py": "when a message is due: by a wrong clock it comes late, or a second time",
    "src/tidemill/doctor/examine.py": "compares this machine's clock with the warehouse's",
    "src/tidemill/local/supervision/processes.py": "the age of a process, which the machine tells by the same clock",
    "src/tidemill/testing/pack.py": "the newest partition, where none is named; nothing is recorded",
}
"""Who may look at the machine's clock, and what for: all else goes by the database's, or by partitions and cutoffs."""


def test_few_look_at_the_clock_of_the_machine() -> None:
    names = {"now", "utcnow", "today", "time", "time_ns", "localtime", "gmtime"}
    rooms = {"datetime", "date", "time", "datetime.datetime", "datetime.date"}

    def looks(path: Path) -> list[int]:
        calls = [node for node in ast.walk(TREES[path]) if isinstance(node, ast.Call)]
        called = [(ast.unparse(call.func).rpartition("."), call.lineno) for call in calls]
        return [line for (room, _, name), line in called if name in names and room in rooms]

    assert set(offenders(TREES, looks)) == set(CLOCKS)


SUPPRESSION = re.compile(
    r"#\s*(?:noqa|type:\s*ignore|pragma:\s*no cover)(?P<reason>: [A-Z]+\d+ - \w|\[[a-z-]+\]  # \w)?"
)


def test_few_warnings_of_the_tools_are_switched_off() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in TREES)
    assert len(SUPPRESSION.findall(text)) * 300 < text.count("\n")


def test_what_is_switched_off_is_named_and_has_a_reason() -> None:
    def unexplained(path: Path) -> list[str]:
        found = SUPPRESSION.finditer(path.read_text(encoding="utf-8"))
        return [match[0] for match in found if match["reason"] is None]

    tests = set((PROJECT / "tests").rglob("*.py"))
    assert offenders([*TREES, *tests], unexplained) == {}


def project_files() -> list[Path]:
    """What is under version control, or will be."""
    answer = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    return [PROJECT / name for name in answer.stdout.split("\0") if name and (PROJECT / name).is_file()]


def test_no_file_names_a_machine_or_its_package_index() -> None:
    place = re.compile(r"(?<![\w.])/(?:work|root)/|/opt/pypi|file:///(?:opt|srv)|--(?:extra-)?index-url|--find-links")
    found = [
        f"{name_of(path)}:{number}"
        for path in project_files()
        if path != Path(__file__) and path.suffix not in (".png", ".gz", ".parquet", ".skops")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if place.search(line)
    ]
    assert found == []


# ---------------------------------------------------------------- telemetry


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What each program of the local stack is started with, and what the CLI reads."""
    home = Home(folder=tmp_path_factory.mktemp("stack") / ".tidemill")
    home.create()
    airflow_keys(home)
    cluster = Cluster(programs=Path("/w/bin"), data=home.folder / "postgres")
    config = StackConfig(project=PROJECT, ports=Ports(), cluster=cluster)
    started = {one.name: dict(one.environment) for one in components.build_components(home, config)}
    return started | {"cli": settings.variables(home, config)}


@pytest.mark.parametrize("program", [components.MLFLOW, *components.AIRFLOW, "cli"])
def test_no_program_reports_to_anybody(environments: dict[str, dict[str, str]], program: str) -> None:
    told = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    assert told.items() <= environments[program].items()


@pytest.mark.parametrize("program", [components.MLFLOW, *components.AIRFLOW, "cli"])
def test_no_program_loads_a_pickle_through_mlflow(environments: dict[str, dict[str, str]], program: str) -> None:
    assert environments[program]["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"


@pytest.mark.parametrize("program", components.AIRFLOW)
def test_no_program_of_airflow_knows_the_owner_of_the_warehouse(
    environments: dict[str, dict[str, str]], program: str
) -> None:
    assert [name for name, value in environments[program].items() if "tidemill_owner" in value] == []


CLOCK = re.compile(
    r"datetime\.(?:now|today|utcnow)\(|date\.today\(|time\.(?:time|localtime|gmtime)\(|Timestamp\.(?:now|today)\("
)
COMPUTES = ("modeling", "monitoring", "spec", "records", "steps", "intervals.py", "contracts.py")


def test_migrations_are_numbered_without_a_gap_or_a_repeat() -> None:
    numbers = sorted(int(path.name.partition("_")[0]) for path in (PROJECT / "sql" / "migrations").glob("*.sql"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_nothing_that_computes_asks_what_time_it_is() -> None:
    root = PROJECT / "src" / "tidemill"
    asking = {
        path.relative_to(root).as_posix()
        for part in COMPUTES
        for path in ([root / part] if part.endswith(".py") else (root / part).rglob("*.py"))
        if CLOCK.search(path.read_text(encoding="utf-8"))
    }
    assert asking == set()


def test_no_query_of_a_model_asks_what_time_it_is() -> None:
    clock = re.compile(
        r"\bnow\s*\(|current_(?:date|time|timestamp)|localtime|clock_timestamp|statement_timestamp", re.IGNORECASE
    )
    models = [path for path in (PROJECT / "sql").glob("*/*.sql") if path.parent.name not in ("migrations", "queries")]
    assert models
    assert [path.name for path in models if clock.search(path.read_text(encoding="utf-8"))] == []
