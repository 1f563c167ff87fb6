"""Unseen levels that look like a known one: other case, blanks, accents, hyphens, leading zeros or a decimal ``.0``."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

__all__ = ["add_near_misses", "near_misses"]

_MOST_UNSEEN = 1_000  # most frequent levels to compare; identifiers have millions
_MOST_NAMED = 5

_JOINED = re.compile(r"(?<=\w)[-_](?=\w)")
_NUMBER = re.compile(r"0*(\d+?)(\.0+)?")


def near_misses(unseen: Counter[str], known: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Return the five most frequent unseen levels that look like a known one, each with the known one and its row count.

    Examples
    --------
    >>> near_misses(Counter({"paris ": 3, "Oslo": 9}), ["Paris", "Rome"])
    {'paris ': ('Paris', 3)}
    """
    folded = {_fold(level): level for level in known} if unseen else {}
    found = {
        level: (folded[look], n)
        for level, n in unseen.most_common(_MOST_UNSEEN)
        if (look := _fold(level)) and look in folded
    }
    return dict(list(found.items())[:_MOST_NAMED])


def add_near_misses(
    first: Mapping[str, tuple[str, int]], second: Mapping[str, tuple[str, int]]
) -> dict[str, tuple[str, int]]:
    """Return the near misses of both, with their rows summed.

    Examples
    --------
    >>> add_near_misses({"paris": ("Paris", 3)}, {"paris": ("Paris", 1)})
    {'paris': ('Paris', 4)}
    """
    return {
        level: (known, sum(part[level][1] for part in (first, second) if level in part))
        for level, (known, _) in {**first, **second}.items()
    }


def _fold(level: str) -> str:
    letters = unicodedata.normalize("NFKD", level).casefold()
    plain = "".join(c for c in letters if not c.isspace() and unicodedata.category(c) not in ("Mn", "Cf", "Cc"))
    plain = _JOINED.sub("", plain)
    number = _NUMBER.fullmatch(plain)
    return number[1] if number else plain
