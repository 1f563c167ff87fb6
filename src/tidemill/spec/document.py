"""The text of a spec file as plain values, each with its line: safe YAML of mappings, lists and scalars.

The reader is stricter than YAML 1.1, which reads ``no`` as false, ``012`` as ten and ``12:30`` as 750, and silently
accepts duplicate keys. It rejects tags, anchors, aliases, and anything too large to be intended. What it accepts fits in
JSON, in Postgres and in Airflow's messages.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.constructor import ConstructorError

__all__ = ["Document", "Location", "parse_document"]

MAX_DEPTH = 20  # levels; the deepest valid spec has 5
MAX_VALUES = 50_000  # values per file; a spec with thousands of columns and expectations has fewer
MAX_TEXT = 10_000  # characters per text; a description is one sentence
WHOLE = range(-(2**63), 2**63)  # 64 bits: Postgres, Arrow and Airflow's messages take no larger whole number

Location = tuple[str | int, ...]
"""Keys and positions that lead to a value."""

# Both give the same events; libyaml is ten times as fast.
_PARSER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_SIGNS = frozenset("-+0123456789")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_CLEARER = {
    "found invalid Unicode character escape code": "an escape stands for half of a surrogate pair, or for no character"
}
"""Clearer wording for libyaml's errors."""
_UNSTORABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Content of a spec file."""

    values: dict[str, Any] | None
    """The plain values; None if the text cannot be read to its end."""
    lines: dict[Location, int]
    """Line of each key and list item, from 1."""
    problems: list[tuple[int, str]]
    """Line and description of everything that is not allowed in any spec."""


def parse_document(text: str) -> Document:
    r"""Parse the YAML text of a spec; everything wrong with it is in the document's problems.

    Examples
    --------
    >>> parse_document("model: tiny\nlabel: {column: y}").values
    {'model': 'tiny', 'label': {'column': 'y'}}
    >>> parse_document("model: tiny\nmodel: other").problems
    [(2, "key 'model' is duplicated")]
    """
    builder, values = _Builder(), None
    try:
        values = builder.document(_PARSER(text))  # rejects characters that YAML does not allow, such as NUL
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or " ".join(str(error).split())
        kind = "" if isinstance(error, ConstructorError) else "not valid YAML: "
        builder.problems.append((mark.line + 1 if mark else 1, f"{kind}{_CLEARER.get(said, said)}"))
    return Document(values=values, lines=builder.lines, problems=builder.problems)


@dataclass(slots=True)
class _Builder:
    """Builds the values from the parser's events; it recurses as deep as the document, whose depth is limited."""

    lines: dict[Location, int] = field(default_factory=lambda: {(): 1})
    problems: list[tuple[int, str]] = field(default_factory=list)
    n_values: int = 0
    parser: Any = None

    def document(self, parser: Any) -> dict[str, Any]:
        self.parser = parser
        parser.get_event()  # the start of the stream
        start = parser.get_event()
        first = parser.get_event() if isinstance(start, yaml.DocumentStartEvent) else None
        if not isinstance(first, yaml.MappingStartEvent):
            raise _refusal(start, "a spec is a mapping that begins with 'model: <name>'")
        values: dict[str, Any] = self._value(first, ())
        parser.get_event()  # the end of the document
        event: Any = parser.get_event()
        if isinstance(event, yaml.DocumentStartEvent):
            raise _refusal(event, "a spec is one document, and '---' begins another")
        return values

    def _mapping(self, path: Location) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := self.parser.get_event(), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            if event.anchor is not None or event.tag is not None:
                raise _reference(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise _refusal(event, "a key is a word, not a list or a mapping")
            key = self._text(event.value, line)
            if key in values:
                self.problems.append((line, f"key {key!r} is duplicated"))
            self.lines[inside := (*path, key)] = line
            values[key] = self._value(self.parser.get_event(), inside)
        return values

    def _list(self, path: Location) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := self.parser.get_event(), yaml.SequenceEndEvent):
            self.lines[inside := (*path, len(values))] = event.start_mark.line + 1
            values.append(self._value(event, inside))
        return values

    def _value(self, event: Any, path: Location) -> Any:
        if event.anchor is not None or event.tag is not None:
            raise _reference(event)
        line = event.start_mark.line + 1
        self.n_values += 1
        if self.n_values > MAX_VALUES:
            raise _refusal(event, f"more than {MAX_VALUES:,} values are not allowed in a spec")
        if isinstance(event, yaml.ScalarEvent):
            return self._plain(event.value, line) if event.implicit[0] else self._text(event.value, line)
        if len(path) >= MAX_DEPTH:
            raise _refusal(event, "so many levels are not allowed in a spec; write the value out")
        return self._mapping(path) if isinstance(event, yaml.MappingStartEvent) else self._list(path)

    def _plain(self, text: str, line: int) -> Any:
        """Return a plain scalar as YAML 1.2 reads it: null, true, false, a decimal number, or text."""
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in _SIGNS or len(text) > MAX_TEXT or not _FLOAT.fullmatch(text):
            return self._text(text, line)
        if _INT.fullmatch(text) and len(text) <= 20 and int(text) in WHOLE:  # 20: a sign and 19 digits
            return int(text)
        value = float(text)
        if _INT.fullmatch(text) or math.isinf(value):
            self.problems.append((line, f"the number {text:.40} is too large; 64 bits cannot hold it"))
        return value

    def _text(self, text: str, line: int) -> str:
        """Return a text; report characters that Postgres, JSON or a terminal cannot handle."""
        if len(text) > MAX_TEXT:
            self.problems.append((line, f"a text of {len(text):,} characters is too long; {MAX_TEXT:,} are allowed"))
            return text[:MAX_TEXT]
        if text.isprintable() or not (found := _UNSTORABLE.search(text)):
            return text
        what = "half of a surrogate pair, which is not a character" if found[0] >= "\ud800" else "a control character"
        self.problems.append((line, f"{text!r:.80} contains {what}"))
        return _UNSTORABLE.sub("?", text)


def _reference(event: Any) -> ConstructorError:
    what = "tags" if event.anchor is None else "anchors and aliases"
    return _refusal(event, f"{what} are not allowed in a spec; write the value out")


def _refusal(event: Any, problem: str) -> ConstructorError:
    """Return the error for valid YAML that no spec may contain, after which reading cannot continue."""
    return ConstructorError(None, None, problem, event.start_mark)
