import pytest

from tidemill.hints import _short_shadows
from tidemill.spec import ModelSpec


def spec(every, **accept):
    values = {
        "model": "m",
        "task": "binary",
        "entity_key": "k",
        "event_time": "t",
        "source": {"features": "m/f.sql", "labels": "m/l.sql"},
        "label": {"column": "y"},
        "partitions": {"every": every},
        "predict": {"schedule": "5 * * * *"},
        "accept": accept,
    }
    return ModelSpec.model_validate(values)


@pytest.mark.parametrize(("every", "longest"), [("hour", "6 days"), ("day", "6 days"), ("week", "48 days")])
def test_a_shadow_that_ends_before_seven_blocks_is_hinted_at(every, longest):
    (hint,) = _short_shadows(spec(every, watch=longest))
    assert f"accept.watch ({longest}) is shorter than 7 {'week' if every == 'week' else 'day'}s" in hint


@pytest.mark.parametrize(("every", "shortest"), [("hour", "7 days"), ("day", "7 days"), ("week", "49 days")])
def test_a_shadow_of_seven_blocks_and_none_are_fine(every, shortest):
    assert list(_short_shadows(spec(every, shadow=shortest))) == []
    assert list(_short_shadows(spec(every))) == []
