"""What the probe gives: one sign of a leak."""

from dataclasses import dataclass

__all__ = ["Leak"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """One sign that a training knows what only the future knows."""

    kind: str
    """``telling``, ``late``, ``changed``, ``copies`` or ``placebo``."""
    subject: str
    """The column, or ``rows`` or ``pipeline``."""
    how: str
    """What was found, a sentence that names the subject."""
