"""The documentation site: every page is in its navigation, and every public name has a place in the reference.

``.ci/run`` builds the site with strict links.
"""

import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import typer.main

from tidemill import errors
from tidemill.cli import app
from tidemill.metrics.definitions import DEFINITIONS
from tidemill.monitoring.alerts.families import FAMILIES

PROJECT = Path(__file__).parents[1]
SITE = PROJECT / "docs" / "site"


@pytest.fixture(scope="module")
def site() -> tuple[ModuleType, ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SITE))
        import pages
        import reference

        yield pages, reference
    for name in ("pages", "reference"):
        del sys.modules[name]


def test_every_page_is_in_the_navigation(site: tuple[ModuleType, ModuleType]) -> None:
    pages, reference = site
    navigation = tomllib.loads((SITE / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    named = {path for _, path in pages.named_in_navigation(navigation)}
    generated = set(re.findall(r'"(reference/\w+\.md)"', Path(reference.__file__).read_text(encoding="utf-8")))
    written = {page for page in pages.written() if not re.match(r"adr/\d", page)}
    assert named == written | generated


def test_links_to_files_that_are_not_pages_become_their_paths(site: tuple[ModuleType, ModuleType]) -> None:
    pages, _ = site
    assert "../" not in "".join(re.findall(r"\]\((.*?)\)", pages.written()["index.md"]))
    targets = {target for text in pages.written().values() for target in re.findall(r"\]\(([^)#\s]+)", text)}
    assert [target for target in targets if target.endswith((".py", ".yaml", "/models"))] == []


def test_every_command_with_its_options_is_in_the_reference(site: tuple[ModuleType, ModuleType]) -> None:
    text = site[1].command_line()
    for name, command in vars(typer.main.get_command(app))["commands"].items():
        section = text.split(f"## {name}\n")[1].split("\n## ")[0]
        assert [option for item in command.params for option in item.opts if f"`{option}" not in section] == []


def test_every_operator_metric_rule_and_error_is_in_the_reference(site: tuple[ModuleType, ModuleType]) -> None:
    import tidemill_airflow.operators as operators

    _, reference = site
    shown = reference.operators() + reference.metrics() + reference.alerts() + reference.error_catalogue()
    names = [*operators.__all__, *FAMILIES, *(name for metrics in DEFINITIONS.values() for name in metrics)]
    kinds = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)} - {"TidemillError"}
    assert [name for name in [*names, *kinds] if name not in shown] == []


def test_the_overview_for_machines_has_a_sentence_for_each_page(
    site: tuple[ModuleType, ModuleType], tmp_path: Path
) -> None:
    pages, _ = site
    for name, text in pages.written().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert pages._first_sentence(tmp_path / "index.md").startswith("Tidemill trains tabular models")
    assert [name for name in pages.written() if not pages._first_sentence(tmp_path / name)] == []
