"""Read spec files, and report all problems of a file at once, each with its line.

No file may disturb another model, whatever its type or content: reading never waits for a pipe or a device, sizes are
limited, and every problem becomes a ``SpecError``.
"""

import difflib
import hashlib
import os
import reprlib
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from tidemill import spec as spec_room
from tidemill.errors import SpecError
from tidemill.spec import ModelSpec
from tidemill.spec.document import Document, Location, parse_document
from tidemill.spec.kinds import PATTERNS

__all__ = ["load_sound_specs", "load_specs", "read_spec", "spec_paths"]

MAX_BYTES = 1_000_000  # bytes; a spec is one page, so anything larger is a mistake or an attack
MAX_SHOWN = 50  # problems per file; the others appear once these are fixed
MAX_LINE = 400  # characters per problem; a longer one would hide the next

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
_FILES = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
"""What a path may be instead of a file."""
_PARSED: dict[str, tuple[bytes, ModelSpec]] = {}
"""The newest spec by the name of its file, with the digest of its bytes: nothing else decides what a sound file says.

Backfills and the console read files many times, and Airflow's DAG processor hands this to the processes that it forks.
"""

_short = reprlib.Repr()
_short.maxstring = _short.maxlong = _short.maxother = 80
_short.maxlist = _short.maxdict = 20


def spec_paths(folder: Path) -> list[Path]:
    """Return every ``*.yaml`` of a folder, sorted by name, even if it is not a file; none if there is no such folder.

    Raises
    ------
    SpecError
        If the folder cannot be listed.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(".yaml"))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SpecError(
            f"The folder of specs {_printable(folder)} cannot be listed: {error.strerror}.",
            "Let its user read it, or set TIDEMILL_MODELS to another folder.",
        ) from None


def read_spec(path: Path) -> ModelSpec:
    """Read the spec of one model.

    Raises
    ------
    SpecError
        With every problem of the file, one per line, as ``file:line: problem``.
    """
    content = _read_bytes(path)
    digest = hashlib.sha256(content).digest()
    known = _PARSED.get(path.name)
    if known is None or known[0] != digest:
        known = _PARSED[path.name] = digest, _parse(path, content)
    return known[1]


def load_sound_specs(folder: Path) -> Iterator[ModelSpec]:
    """Read all valid specs; the doctor reports the others, so that one broken spec does not stop every model."""
    for path in spec_paths(folder):
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
    for path in spec_paths(folder):
        try:
            specs.append(read_spec(path))
        except SpecError as error:
            problems.append(error.problem)
    if problems:
        raise SpecError("\n".join(problems), "Correct these lines.")
    return tuple(specs)


def _read_bytes(path: Path) -> bytes:
    """Return the content of a file, without ever waiting for it.

    Raises
    ------
    SpecError
        If it is missing, not a file, a link that leads out of its folder, unreadable, or too large.
    """
    try:
        _require_file(path, path.stat().st_mode)  # checked before opening, because opening affects some devices
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as stream:
            _require_file(path, os.fstat(stream.fileno()).st_mode)
            content = stream.read(MAX_BYTES + 1) or b""
    except FileNotFoundError:
        raise _missing(path) from None
    except (OSError, ValueError) as error:  # ValueError: the name contains a NUL
        said = getattr(error, "strerror", None) or error
        raise SpecError(f"The spec {_printable(path)} cannot be read: {said}.", "Let its user read it.") from None
    if len(content) > MAX_BYTES:
        raise SpecError(f"The spec {_printable(path)} has more than {MAX_BYTES:,} bytes.", "Shorten it.")
    return content


def _require_file(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _FILES if is_kind(mode)), "something else")
        raise SpecError(f"The spec {_printable(path)} is {kind}, not a file.", "Remove it, or write the spec.")
    if path.is_symlink() and not path.resolve().is_relative_to(path.parent.resolve()):
        raise SpecError(
            f"The spec {_printable(path)} is a link out of its folder, to {_printable(path.resolve())}.",
            "Put the file itself there: errors quote what a spec holds, so a link could show another's secrets.",
        )


def _missing(path: Path) -> SpecError:
    if path.is_symlink():
        leads = _printable(path.readlink())
        return SpecError(f"The spec {_printable(path)} is a link to {leads}, which does not exist.", "Remove the link.")
    known = ", ".join(_printable(file.stem) for file in spec_paths(path.parent)) or "none"
    return SpecError(
        f"There is no spec {_printable(path)}.", f"Models that exist in {_printable(path.parent)}: {known}."
    )


def _parse(path: Path, content: bytes) -> ModelSpec:
    try:
        document = parse_document(content.decode())
    except UnicodeDecodeError as error:
        raise SpecError(f"The spec {_printable(path)} is not UTF-8: {error}.", "Save it as UTF-8.") from None
    spec, problems = _validated(document)
    if spec is not None and spec.model != path.stem:
        line = document.lines[("model",)]
        problems.append((line, f"model is {spec.model!r}, but the file is named {path.name!r}"))
    if spec is None or problems:
        raise _with_problems(path, problems)
    return spec


def _validated(document: Document) -> tuple[ModelSpec | None, list[tuple[int, str]]]:
    """Return the spec, if there is one, and every problem of the document."""
    problems = list(document.problems)
    if document.values is None:
        return None, problems
    try:
        return ModelSpec.model_validate(document.values), problems
    except ValidationError as error:
        return None, problems + _described(error.errors(include_url=False), document.lines)
    except Exception as error:  # a validator that fails on an unforeseen value must not stop the other models
        return None, [*problems, (1, f"cannot be checked: {type(error).__name__}: {error}")]


def _with_problems(path: Path, problems: list[tuple[int, str]]) -> SpecError:
    found, name = sorted(set(problems)), _printable(path)
    shown = [f"  {name}:{line}: {_printable(problem[:MAX_LINE])}" for line, problem in found[:MAX_SHOWN]]
    if more := len(found) - len(shown):
        shown.append(f"  and {more:,} more")
    return SpecError(
        f"The spec '{_printable(path.name)}' has {len(found):,} problem(s):\n" + "\n".join(shown),
        "Correct these lines.",
    )


def _printable(text: object) -> str:
    """Return a text that every terminal, log and database accepts, with unprintable characters escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def _described(items: list[Any], lines: dict[Location, int]) -> list[tuple[int, str]]:
    """Return pydantic's findings in Tidemill's wording, each with the line of the nearest enclosing key."""
    problems: list[tuple[int, str]] = []
    expected: dict[tuple[int, str, str], list[str]] = {}  # pydantic reports one finding per type of a union
    for item in items:
        location: Location = tuple(item["loc"])
        known = next(location[:size] for size in range(len(location), -1, -1) if location[:size] in lines)
        place, line = ".".join(str(part) for part in location), lines[known]
        if item["type"] == "extra_forbidden":
            few = len(problems) < MAX_SHOWN  # a comparison takes a millisecond
            near = difflib.get_close_matches(str(location[-1]), _known_keys(), n=1) if few else []
            problems.append((line, f"unknown key {place!r}" + (f"; did you mean {near[0]!r}?" if near else "")))
        elif item["type"] == "missing":
            problems.append((line, f"key {place!r} is missing"))
        elif item["type"] == "value_error":
            problems.append((line, f"{place + ': ' if place else ''}{item['msg'].removeprefix('Value error, ')}"))
        else:
            if location[-1] in _MEMBERS and location != known:
                place = ".".join(str(part) for part in location[:-1])
            found = "nothing" if item["input"] is None else f"{_short.repr(item['input']):.80}"
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
    if item["type"] in ("string_too_long", "string_too_short"):
        return message.removeprefix("String should have ")
    return _KINDS.get(item["type"].partition("_")[0], message.removeprefix("Input should be "))


@lru_cache(maxsize=1)
def _known_keys() -> list[str]:
    parts = [getattr(spec_room, name) for name in spec_room.__all__]
    return sorted(
        {key for part in parts if isinstance(part, type) and issubclass(part, BaseModel) for key in part.model_fields}
    )
