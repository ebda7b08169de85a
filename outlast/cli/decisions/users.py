"""Who sits before the terminal, as the operating system knows them."""

import getpass


def user_name() -> str:
    """Return the name of the user, "" where the system knows none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
