"""Results as pages: what each shows (`reading.py`), and the page that shows any result (`anything.py`)."""

from outlast.cli.result_texts import Page, Reader, without_tools

__all__ = ["Page", "Reader", "without_tools"]
