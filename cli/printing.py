"""What programs read: JSON on stdout, complete and with nothing else around it."""

import json
from typing import Any


def print_json(data: Any) -> None:
    """Print JSON data; dates and the like become strings."""
    print(json.dumps(data, indent=2, ensure_ascii=False, default=str))
