"""Running a program as another account."""

from typing import Any

__all__ = ["run_as"]


def run_as(uid: int | None, gid: int | None) -> dict[str, Any]:
    """Return the arguments of ``subprocess`` that switch to an account, without any of the caller's groups.

    Parameters
    ----------
    uid, gid : int or None
        User and group; with None, the program runs as the caller.

    Examples
    --------
    >>> run_as(999, 999)
    {'user': 999, 'group': 999, 'extra_groups': []}
    >>> run_as(None, None)
    {}
    """
    return {} if uid is None else {"user": uid, "group": gid, "extra_groups": []}
