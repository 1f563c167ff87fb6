"""The packages that Tidemill needs, and which of them are missing, to report them before an import fails.

This module imports only the standard library and ``packaging``, which every Airflow has: it must not need what it checks.
"""

import shlex
import sys
from importlib import metadata

from packaging.requirements import Requirement

__all__ = ["COLLECTIVES", "install_command", "module_missing", "needed_requirements", "unmet_requirements"]

COLLECTIVES = ("nvidia-nccl-cu12", "nvidia-nccl-cu13")
"""NVIDIA's library for several GPUs, which XGBoost's wheel requires; training on CPUs never loads it."""


def needed_requirements() -> list[Requirement]:
    """Return the requirements of the installed Tidemill that apply on this machine, without its extras."""
    found = [Requirement(line) for line in metadata.metadata("tidemill").get_all("Requires-Dist") or []]
    return [item for item in found if item.marker is None or item.marker.evaluate({"extra": ""})]


def unmet_requirements() -> dict[str, str]:
    """Return what is wrong with each requirement that is missing or has an unsupported version."""
    wrong = ((item, _wrong(item)) for item in needed_requirements())
    return {f"{item.name}{item.specifier}": problem for item, problem in wrong if problem}


def install_command(unmet: dict[str, str]) -> str:
    """Return the shell command that installs unmet requirements without changing Airflow."""
    airflow = _installed("apache-airflow")
    kept = (
        [f"apache-airflow=={airflow}"]
        if airflow and not any(item.startswith("apache-airflow<") for item in unmet)
        else []
    )
    return shlex.join([sys.executable, "-m", "pip", "install", *kept, *unmet])


def module_missing(error: ModuleNotFoundError) -> str:
    """Return what to do about a module that is not installed."""
    unmet = unmet_requirements()
    found = f"The module {(error.name or '').partition('.')[0]!r} is not installed"
    if not unmet:
        return f"{found}, although every declared package is. Install Tidemill and its packages again."
    return f"{found}: {'; '.join(unmet.values())}.\nInstall what is missing: {install_command(unmet)}"


def _wrong(needed: Requirement) -> str:
    found = _installed(needed.name)
    if found is None:
        return f"{needed.name} is missing, {needed.specifier} is supported"
    inside = needed.specifier.contains(found, prereleases=True)
    return "" if inside else f"{needed.name} is {found}, {needed.specifier} is supported"


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
