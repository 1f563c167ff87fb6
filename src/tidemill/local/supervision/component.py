"""One program that the supervisor keeps running."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Component"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One program that the supervisor keeps running."""

    name: str
    """Such as ``scheduler``; also the name of its log."""
    command: tuple[str, ...]
    """Program and arguments, without any secret."""
    environment: Mapping[str, str] = field(repr=False)
    """The whole environment; it may contain secrets."""
    folder: Path
    """Working folder."""
    url: str = ""
    """Address for people; empty if the program has none."""
    stop_signal: signal.Signals = signal.SIGTERM
    """The signal that asks it to stop in order."""
    stop_group: bool = True
    """Whether the signal goes to the whole process group, or only to the program."""
    stop_last: bool = False
    """Whether it stops only after the others, which need it until they end."""
    uid: int | None = None
    """User to run as; the caller by default."""
    gid: int | None = None
    """Group to run as, together with ``uid``."""
