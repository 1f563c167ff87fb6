"""Makes ``python -m tidemill`` the command ``tidemill``, for where the folder of commands is not on the path."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; where it cannot even be imported, report which packages are missing."""
    try:
        from tidemill.cli import main as command_line
    except ModuleNotFoundError as error:
        from tidemill.requirements import module_missing

        sys.exit(module_missing(error))
    command_line()


if __name__ == "__main__":
    main()
