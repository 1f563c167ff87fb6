"""Read spec files: safe YAML, with all problems of a file reported at once, each with its line.

The reader is stricter than YAML 1.1, which reads ``no`` as false, ``012`` as ten and ``12:30`` as 750, and silently
accepts duplicate keys. It rejects tags, anchors and aliases.
"""

import difflib
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from tidemill import spec as spec_room
from tidemill.errors import SpecError
from tidemill.spec import ModelSpec
from tidemill.spec.kinds import PATTERNS

__all__ = ["load_sound_specs", "load_specs", "read_spec"]

MAX_BYTES = 1_000_000  # bytes; a spec is one page, so anything larger is a mistake or an attack
MAX_DEPTH = 20  # levels; the deepest valid spec has 5

Path_ = tuple[str | int, ...]

_LIST, _MAPPING = "a list, such as [a, b]", "a mapping, such as {key: value}"
_KINDS = {
    "tuple": _LIST, "model": _MAPPING, "dict": _MAPPING, "string": "text", "bool": "true or false", "int": "a whole number",
    "float": "a number",
}  # fmt: skip
"""Expected kind of value, by the first word of pydantic's error type."""
_MEMBERS = {
    "bool",
    "int",
    "float",
    "constrained-str",
}  # pydantic's names for members of a union, which it reports like keys


class _PlainLoader(yaml.SafeLoader):
    """Loader that reads scalars as YAML 1.2 does: null, true, false, decimal numbers, text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own class attribute, emptied here


for _tag, _pattern, _first in (
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
    ("bool", r"^(?:true|false)$", ["t", "f"]),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
    ("float", r"^[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$", list("-+0123456789")),
):
    _PlainLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def read_spec(path: Path) -> ModelSpec:
    """Read the spec of one model.

    Raises
    ------
    SpecError
        With every problem of the file, one per line, as ``file:line: problem``.
    """
    return _parsed(path, _read_text(path))


@lru_cache(maxsize=256)  # a backfill reads the file in every step; parsing takes as long as scoring
def _parsed(path: Path, text: str) -> ModelSpec:
    problems: list[tuple[int, str]] = []
    lines: dict[Path_, int] = {(): 1}
    values = _build(_compose(text, path), (), lines, problems)
    spec = None
    try:
        spec = ModelSpec.model_validate(values)
    except ValidationError as error:
        problems += _described(error.errors(), lines)
    if spec is not None and spec.model != path.stem:
        problems.append((lines[("model",)], f"model is {spec.model!r}, but the file is named {path.name!r}"))
    if spec is None or problems:
        found = "\n".join(f"  {path}:{line}: {problem}" for line, problem in sorted(set(problems)))
        raise SpecError(f"The spec {path.name!r} has {len(set(problems))} problem(s):\n{found}", "Correct these lines.")
    return spec


def load_sound_specs(folder: Path) -> Iterator[ModelSpec]:
    """Read all valid specs; the doctor reports the others, so that one broken spec does not stop every model."""
    for path in sorted(folder.glob("*.yaml")):
        with suppress(SpecError):
            yield read_spec(path)


def load_specs(folder: Path) -> tuple[ModelSpec, ...]:
    """Read every ``*.yaml`` of a folder, sorted by name.

    Raises
    ------
    SpecError
        If any file has a problem; lists the problems of all files.
    """
    specs, problems = [], []
    for path in sorted(folder.glob("*.yaml")):
        try:
            specs.append(read_spec(path))
        except SpecError as error:
            problems.append(error.problem)
    if problems:
        raise SpecError("\n".join(problems), "Correct these lines.")
    return tuple(specs)


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml"))) or "none"
        raise SpecError(f"There is no spec {path}.", f"Models that exist in {path.parent}: {known}.") from None
    if len(content) > MAX_BYTES:
        raise SpecError(f"The spec {path} has {len(content):,} bytes; at most {MAX_BYTES:,} are read.", "Shorten it.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise SpecError(f"The spec {path} is not UTF-8: {error}.", "Save it as UTF-8.") from None


def _compose(text: str, path: Path) -> yaml.Node:
    try:
        loader = _PlainLoader(text)  # rejects characters that YAML does not allow, such as NUL
        _refuse_references(text, path)
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise SpecError(f"{place}: not valid YAML: {getattr(error, 'problem', error)}.", "Correct this line.") from None
    if not isinstance(node, yaml.MappingNode):
        raise SpecError(f"{path}:1: a spec is a mapping that begins with 'model: <name>'.", "Write the spec.")
    return node


def _refuse_references(text: str, path: Path) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_PlainLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        reference = isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None)
        found = {
            "anchors and aliases": reference,
            "tags": getattr(event, "tag", None),
            "so many levels": depth > MAX_DEPTH,
        }
        refused = next((what for what, is_there in found.items() if is_there), None)
        if refused and event.start_mark:
            line = event.start_mark.line + 1
            raise SpecError(f"{path}:{line}: {refused} are not allowed in a spec.", "Write the value out.")


def _build(node: yaml.Node, path: Path_, lines: dict[Path_, int], problems: list[tuple[int, str]]) -> Any:
    """Return the plain values of a node; collect the line of every path, and problems like duplicate keys."""
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in values:
                problems.append((key_node.start_mark.line + 1, f"key {key!r} is duplicated"))
            lines[(*path, key)] = key_node.start_mark.line + 1
            values[key] = _build(value_node, (*path, key), lines, problems)
        return values
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*path, index), lines, problems) for index, item in enumerate(node.value)]
    value = _PlainLoader("").construct_object(node)
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        problems.append(
            (node.start_mark.line + 1, f"{value!r} contains half of a surrogate pair, which is not a character")
        )
        return value.encode(errors="replace").decode()
    return value


def _described(items: list[Any], lines: dict[Path_, int]) -> list[tuple[int, str]]:
    """Return pydantic's findings in Tidemill's wording, each with the line of the nearest enclosing key."""
    problems: list[tuple[int, str]] = []
    expected: dict[tuple[int, str, str], list[str]] = {}  # pydantic reports one finding per type of a union
    for item in items:
        location: Path_ = tuple(item["loc"])
        known = next(location[:size] for size in range(len(location), -1, -1) if location[:size] in lines)
        place, line = ".".join(str(part) for part in location), lines[known]
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(location[-1]), _known_keys(), n=1)
            problems.append((line, f"unknown key {place!r}" + (f"; did you mean {near[0]!r}?" if near else "")))
        elif item["type"] == "missing":
            problems.append((line, f"key {place!r} is missing"))
        elif item["type"] == "value_error":
            problems.append((line, f"{place + ': ' if place else ''}{item['msg'].removeprefix('Value error, ')}"))
        else:
            if location[-1] in _MEMBERS and location != known:
                place = ".".join(str(part) for part in location[:-1])
            found = "nothing" if item["input"] is None else f"{item['input']!r:.80}"
            expected.setdefault((line, place, found), []).append(_expected(item))
    return problems + [
        (line, f"{place}: expected {' or '.join(dict.fromkeys(kinds))}, found {found}")
        for (line, place, found), kinds in expected.items()
    ]


def _expected(item: Any) -> str:
    if item["type"] == "string_pattern_mismatch":
        pattern = item["ctx"]["pattern"]
        return PATTERNS.get(pattern, f"text like {pattern}")
    message: str = item["msg"]
    return _KINDS.get(item["type"].partition("_")[0], message.removeprefix("Input should be "))


def _known_keys() -> list[str]:
    parts = [getattr(spec_room, name) for name in spec_room.__all__]
    return sorted(
        {key for part in parts if isinstance(part, type) and issubclass(part, BaseModel) for key in part.model_fields}
    )
