"""Memory that this process has used, and memory that it may use."""

import ctypes
import os
import resource
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import psutil

__all__ = ["give_back", "memory_limit_bytes", "memory_words", "peak_rss_bytes", "resident_bytes"]

_CGROUPS = Path("/sys/fs/cgroup")
_NO_LIMIT = 2**60  # control groups write a number like this when there is none
_GIB = 2**30


def peak_rss_bytes() -> int:
    """Largest resident set of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def resident_bytes() -> int:
    """Resident set of this process now, in bytes."""
    return int(psutil.Process().memory_info().rss)


def give_back() -> None:
    """Hand what has been freed back to the machine; allocators would keep it, and the next step's peak would come on top."""
    import pyarrow as pa  # keeps this module light

    pa.default_memory_pool().release_unused()
    # glibc has it, musl and others do not.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


@cache
def memory_limit_bytes() -> int:
    """Return what this process may use, in bytes: the limit of its control groups, or all memory of the machine."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits(Path("/proc/self/cgroup"), _CGROUPS)])


def memory_words() -> str:
    """Return peak and limit in words; of the address space, where that has a limit.

    Examples
    --------
    >>> memory_words().split()[0]
    'peak'
    """
    address_space = resource.getrlimit(resource.RLIMIT_AS)[0]
    status = Path("/proc/self/status")
    if address_space != resource.RLIM_INFINITY and status.is_file():
        peak = _peak_address_space(status.read_text())
        return f"peak {peak / _GIB:.2f} GiB of limit {address_space / _GIB:.2f} GiB of address space"
    return f"peak {peak_rss_bytes() / _GIB:.2f} GiB of limit {memory_limit_bytes() / _GIB:.2f} GiB"


def _peak_address_space(status: str) -> int:
    (line,) = (line for line in status.splitlines() if line.startswith("VmPeak:"))
    return int(line.split()[1]) * 1024


def _limits(groups: Path, root: Path) -> Iterator[int]:
    """Read the limits of our control groups and of those around them, of version 2 or 1; hidden ones set no limit."""
    if not groups.is_file():
        return
    for line in groups.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, name = root, "memory.max"
        elif "memory" in controllers.split(","):
            base, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        own = base / path.lstrip("/")
        for folder in (own, *own.parents):
            if folder.is_relative_to(base) and (folder / name).is_file():
                text = (folder / name).read_text().strip()
                if text.isdigit() and int(text) < _NO_LIMIT:
                    yield int(text)
