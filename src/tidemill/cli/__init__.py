"""The command line: the same steps as the DAGs, and the local stack. Reads arguments and prints; nothing else.

One module per subject; each adds its commands to ``app``, and imports heavy modules only when a command runs.
"""

import sys

from tidemill.cli import chains, ledger, local, onboarding, score, simulation, warehouse
from tidemill.cli import transfer as carrying
from tidemill.cli.console import HOME, app, err
from tidemill.errors import TidemillError
from tidemill.workspace import read_environment_file

__all__ = ["app", "carrying", "chains", "ledger", "local", "main", "onboarding", "score", "simulation", "warehouse"]


def main() -> None:
    """Run the command line; a failure is one clear message on standard error, and exit status 1."""
    read_environment_file(HOME / "environment")
    try:
        app()
    except TidemillError as error:
        err.print(f"{type(error).__name__}: ", style="bold red", end="")
        err.print(str(error), highlight=False, soft_wrap=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        from tidemill.requirements import module_missing

        err.print(module_missing(error), highlight=False, soft_wrap=True)
        sys.exit(1)
