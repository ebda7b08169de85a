"""The command line: one file per group of commands, and the pages that people read. It talks to Temporal as a client.

`observe` · `explain` · `control` · `operate` hold the commands; `leaving` turns errors into exit codes, `reaching` connects,
`results` and `pages` are what is shown. A module-level import of the SDK or of pydantic would make every `--help` slow, so
commands import what they need when they run.
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
