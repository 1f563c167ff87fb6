"""Makes ``python -m tidemill`` the command ``tidemill``, for where the folder of commands is not on the path."""

from tidemill.cli import main

if __name__ == "__main__":
    main()
