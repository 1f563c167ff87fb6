import pyarrow as pa

from tidemill.spec import ModelSpec
from tidemill.steps.data.features import feature_schema

COLUMNS = pa.schema(
    {"id": pa.string(), "at": pa.timestamp("us", "UTC"), "kg": pa.float64(), "shop": pa.string(), "gender": pa.string()}
)


def spec_of(**keys: object) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "model": "m", "task": "binary", "entity_key": "id", "event_time": "at", "timezone": "UTC",
            "source": {"features": "a.sql", "labels": "b.sql"}, "label": {"column": "y"}, **keys,
        }
    )  # fmt: skip


def test_columns_are_features_by_their_type_except_key_time_and_label() -> None:
    found = feature_schema(spec_of(), COLUMNS.append(pa.field("y", pa.bool_())))
    assert (found.numeric, found.categorical) == (("kg",), ("shop", "gender"))


def test_an_audit_column_is_no_feature() -> None:
    assert feature_schema(spec_of(audit=["gender"]), COLUMNS).categorical == ("shop",)
