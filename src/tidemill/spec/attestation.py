"""Section about the ML Test Score: what a person vouches for where nothing is measured."""

from datetime import date, timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from tidemill.spec.kinds import Day, Part

__all__ = ["Attestation"]

LONGEST = timedelta(days=366)  # of an attestation; what nobody has looked at for a year is not known


class Attestation(Part):
    """A person's dated word on one line of the ML Test Score; worth half a point until it expires."""

    by: Annotated[str, Field(min_length=1)]
    """Who vouches, as an e-mail address or a name."""
    signed: Day
    """Day of the signature."""
    until: Day
    """Last day on which it counts, at most a year after the signature."""
    says: Annotated[str, Field(min_length=1)]
    """What was looked at, and what was found."""

    @model_validator(mode="after")
    def _expires(self) -> Self:
        if not self.signed < self.until <= self.signed + LONGEST:
            raise ValueError(
                f"until {self.until} must come after signed {self.signed}, by at most {LONGEST.days} days; look again, "
                "and sign again"
            )
        return self

    def counts_on(self, day: date) -> bool:
        """Return whether it is signed and not expired on a day."""
        return self.signed <= day <= self.until
