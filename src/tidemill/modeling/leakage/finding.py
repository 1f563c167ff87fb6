"""Result of the leak probe."""

from dataclasses import dataclass

__all__ = ["Leak"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """One sign that a training uses information from the future."""

    kind: str
    """``telling``, ``late``, ``changed``, ``copies`` or ``placebo``."""
    subject: str
    """Name of the column, or ``rows`` or ``pipeline``."""
    how: str
    """Sentence that describes the finding and contains the subject."""
