"""Commands that work on any run, and the pages that people read. They talk to Temporal as a client.

Open `app.py` first: it lists the groups of commands; `kinds.py` is how an application makes its workflows known to them.
Others use `register_kind`, `LeavingError` (an error with its exit code) and `reaching` (connect and run).
Commands import what they need when they run, because the SDK and pydantic would make every `--help` slow.
"""

import sys
from typing import NoReturn

from outlast.extras import MissingExtraError, require

WRONG = 2


def main() -> NoReturn:
    """Run the command `outlast`; without the extra `cli` it names the command that installs it."""
    try:
        require("cli", "the command line")
    except MissingExtraError as error:
        sys.stderr.write(f"outlast: {error}\n")
        sys.exit(WRONG)
    from outlast.cli import app

    app.main()
