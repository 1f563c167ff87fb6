"""Report ports that other programs use, before Docker fails on them, and the variable that moves each: ``make compose-up``.

Needs only Python, not Tidemill's packages. Ports of this profile's own containers, which run already, do not count.
"""

import os
import runpy
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
is_free = runpy.run_path(str(PROJECT / "src" / "tidemill" / "machine" / "ports.py"))["is_free"]
PUBLISHED = {"TIDEMILL_UI_PORT": ("api-server", 8080), "TIDEMILL_MLFLOW_PORT": ("mlflow", 5000)}
"""Variable that moves a port, service that it belongs to, and the port inside and by default."""


def main() -> int:
    """Print one sentence per port that is taken; exit status 1 if any is."""
    given = read_settings(PROJECT / ".env") | os.environ
    problems = [
        problem
        for variable, (service, default) in PUBLISHED.items()
        if (problem := problem_of(variable, given.get(variable) or str(default), (service, default)))
    ]
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if problems else 0


def problem_of(variable: str, port: str, service: tuple[str, int]) -> str:
    """Return what is wrong with a port, or nothing."""
    if not port.isdecimal() or not 0 < int(port) < 65536:
        return f"{variable} is {port!r}, which is not a port. Set it to a number from 1 to 65535."
    if is_free(int(port)) or is_ours(int(port), *service):
        return ""
    other = next(candidate for candidate in range(int(port) + 1, 65536) if is_free(candidate))
    return (
        f"Port {port} of 127.0.0.1, for {service[0]}, is taken by another program. End that program, or move the port, in the "
        f"environment or in .env: {variable}={other}"
    )


def is_ours(port: int, service: str, inside: int) -> bool:
    """Whether a container of this profile publishes the port: a second start leaves it as it is."""
    command = ["docker", "compose", "port", service, str(inside)]
    asked = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    return asked.stdout.strip().endswith(f":{port}")


def read_settings(path: Path) -> dict[str, str]:
    """Return the settings of Compose's ``.env``; none if there is no such file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, _, value in pairs}


if __name__ == "__main__":
    sys.exit(main())
