"""Holds: things that a person exempts from retention, from one audit entry until another."""

from dataclasses import dataclass

from psycopg2.errors import NoDataFound

from tidemill.errors import FatalError
from tidemill.records import Hold
from tidemill.warehouse.connections import fetch_all, transaction
from tidemill.warehouse.statements import execute

__all__ = ["KINDS", "Hold", "Holds"]

KINDS = ("release", "prediction_run", "partition", "snapshot")
"""What can be held."""


@dataclass(frozen=True, slots=True)
class Holds:
    """The writer's view of holds."""

    url: str
    """Connection of the role ``tidemill_writer`` or ``tidemill_promoter``."""

    def hold(self, model: str, what: str, name: str, why: str, *, by: str = "") -> None:
        """Keep something from being collected.

        Raises
        ------
        FatalError
            If the model has no such thing.
        """
        try:
            with transaction(self.url) as cursor:
                execute(cursor, "hold", model=model, what=what, name=name, why=why, by=by)
        except NoDataFound:
            raise FatalError(
                f"Model {model!r} has no {what} {name!r}.", f"What can be held is a {', '.join(KINDS)} that it has."
            ) from None

    def unhold(self, model: str, what: str, name: str, why: str, *, by: str = "") -> None:
        """Release a hold.

        Raises
        ------
        FatalError
            If it is not held.
        """
        if (what, name) not in {(item.what, item.name) for item in self.held(model)}:
            raise FatalError(f"The {what} {name!r} of {model!r} is not held.", "See 'tidemill held' for what is.")
        with transaction(self.url) as cursor:
            execute(cursor, "unhold", model=model, what=what, name=name, why=why, by=by)

    def held(self, model: str | None = None) -> tuple[Hold, ...]:
        """Return what is held, of one model or of all."""
        with transaction(self.url) as cursor:
            execute(cursor, "held", model=model)
            return fetch_all(cursor, Hold)
