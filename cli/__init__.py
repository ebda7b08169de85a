"""The commands that start the workflows of this application, the pages of their results, and its demo."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
"""The folder of this application: its agents, samples and programs are beside this package."""
