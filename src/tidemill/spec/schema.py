"""The spec as a JSON Schema, for editors that complete and check YAML while it is written.

Derived from ``spec``, docstrings included; the command line's own check stays the one that counts.
"""

import ast
import inspect
from itertools import pairwise
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import TimedeltaSchema

from tidemill import spec
from tidemill.intervals import DURATION
from tidemill.spec import ModelSpec

__all__ = ["field_docs", "json_schema"]

_EXPECTATION = {
    "title": "Expectation",
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "patternProperties": {
        "^expect_[a-z_]+$": {
            "type": ["object", "null"],
            "properties": {"severity": {"$ref": "#/$defs/Severity"}, "column": {"type": "string"}},
        }
    },
    "additionalProperties": False,
}
"""An entry of the contract is one key with its arguments, which the fields of the class do not show."""


class _InWords(GenerateJsonSchema):
    """Durations are words in a spec, not ISO 8601."""

    def timedelta_schema(self, schema: TimedeltaSchema) -> JsonSchemaValue:
        return {"type": "string", "pattern": rf"^\s*{DURATION}\s*$"}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a spec file.

    Examples
    --------
    >>> json_schema()["required"]
    ['model', 'task', 'entity_key', 'event_time', 'source', 'label']
    """
    schema = ModelSpec.model_json_schema(schema_generator=_InWords)
    parts, docs = schema["$defs"], field_docs()
    for name, part in (*parts.items(), (ModelSpec.__name__, schema)):
        for field, described in part.get("properties", {}).items():
            if field in docs.get(name, {}):
                described["description"] = docs[name][field].replace("``", "`")
    parts["Expectation"] = _EXPECTATION
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def field_docs() -> dict[str, dict[str, str]]:
    """Return the string under each field of each class of ``spec``, by class and field.

    Examples
    --------
    >>> field_docs()["Source"]["labels"]
    'Query for entity key, label and ``observed_at``.'
    """
    sections = [(name, getattr(spec, name)) for name in spec.__all__ if inspect.isclass(getattr(spec, name))]
    return {
        name: dict(_strings_under_fields(ast.parse(inspect.getsource(section)).body[0])) for name, section in sections
    }


def _strings_under_fields(node: ast.stmt) -> list[tuple[str, str]]:
    assert isinstance(node, ast.ClassDef)
    found = []
    for pair in pairwise(node.body):
        match pair:
            case ast.AnnAssign(target=ast.Name(id=field)), ast.Expr(value=ast.Constant(value=str(text))):
                found.append((field, text))
    return found
