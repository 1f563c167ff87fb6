"""Record: the base of every small, frozen value that is stored or passed on."""

import json
from typing import Any, Self

from pydantic import ConfigDict, TypeAdapter

__all__ = ["Record"]

_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


class Record:
    """Base of all records: plain data that turns into JSON types and back."""

    __slots__ = ()
    # Infinity and NaN are not JSON, and Postgres refuses them: they travel as words.
    __pydantic_config__ = ConfigDict(extra="forbid", ser_json_inf_nan="strings")

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON types.

        Examples
        --------
        >>> from tidemill.records import MetricValue
        >>> MetricValue(name="roc_auc", value=0.75, low=0.73, high=0.77, n=900).to_dict()["value"]
        0.75
        """
        values: dict[str, Any] = json.loads(_adapter(type(self)).dump_json(self))
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild a record.

        Raises
        ------
        pydantic.ValidationError
            If a key is unknown or missing, or a value has the wrong type.
        """
        record: Self = _adapter(cls).validate_python(values)
        return record


def _adapter(kind: type) -> TypeAdapter[Any]:
    """Return the cached adapter: building one takes as long as a hundred uses."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
