"""A process that is frozen keeps nobody else waiting, and changes nothing when it wakes up (F03, P4)."""

import time

import pytest

from tidemill.warehouse.connections import IDLE_TIMEOUT_S

from ..integration.data import NEXT, PER_DAY, SCORED
from .conftest import Proved, Subject
from .tables import check_history

LIMIT_S = 15  # in which the others have to come through
OLD, NEW = 0.25, 0.75


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "point",
    ["claim-before-commit", "claim-after-commit", "write-opened", "write-in-copy", "write-before-commit",
     "write-after-commit", "publish-before-commit"],
)  # fmt: skip
def test_another_attempt_publishes_while_one_is_frozen(serving: Subject, proved: Proved, point: str) -> None:
    inputs = serving.inputs()
    frozen = serving.start("attempt", f"{point}:stop", score=OLD, **inputs)
    frozen.wait_until_stopped()
    started = time.monotonic()
    assert serving.run("attempt", score=NEW, **inputs).ended == "done"
    assert time.monotonic() - started < LIMIT_S
    assert set(serving.view("score")) == {(NEW,)}
    frozen.resume()
    ending = frozen.end()
    # One that was frozen in a transaction has lost its connection; all others meet the newer claim.
    lost = point in ("claim-before-commit", "write-before-commit", "publish-before-commit")
    assert ending.ended == ("WarehouseUnavailable" if lost else "StaleAttempt")
    assert (len(serving.view()), set(serving.view("score"))) == (PER_DAY, {(NEW,)})
    check_history(serving.mill, SCORED)
    proved("F03 P4", frozen_attempts=1)


@pytest.mark.timeout(120)
def test_frozen_publish_does_not_keep_another_model_waiting(
    serving: Subject, new_serving: object, proved: Proved
) -> None:
    """Its row of the audit chain is locked until the server has given up on it."""
    other: Subject = new_serving()  # type: ignore[operator]
    frozen = serving.start("attempt", "publish-before-commit:stop", score=OLD, **serving.inputs())
    frozen.wait_until_stopped()
    ending = other.run("attempt", score=NEW, **other.inputs())
    assert (ending.ended, ending.seconds < LIMIT_S) == ("done", True)
    frozen.resume()
    assert frozen.end().ended == "WarehouseUnavailable"
    assert serving.view("score") == []
    proved("F03 P19", frozen_attempts=1)


@pytest.mark.timeout(120)
def test_frozen_promotion_does_not_keep_another_waiting(serving: Subject, trained: tuple, proved: Proved) -> None:
    mill = serving.mill
    champion = mill.resolve().release_id
    slow, quick = (mill.register(trained[1], day) for day in (SCORED, NEXT))
    at = mill.spec.partition(NEXT).cutoff.isoformat()
    inputs = {"model": mill.model, "expected": champion, "live_from": at}
    frozen = serving.start("promote", "promote-before-commit:stop", release_id=slow, **inputs)
    frozen.wait_until_stopped()
    ending = serving.run("promote", release_id=quick, **inputs)
    assert (ending.ended, ending.seconds < LIMIT_S) == ("done", True)
    frozen.resume()
    assert frozen.end().ended == "WarehouseUnavailable"
    assert mill.promoter.champion(mill.model).release_id == quick  # type: ignore[union-attr]
    proved("F03 P8", frozen_promotions=1)


def test_server_gives_up_a_frozen_transaction_before_the_others_lose_patience() -> None:
    assert IDLE_TIMEOUT_S < LIMIT_S
