"""Commands that start a run from another one, `fork` and `retry`, and `diff`, which shows two runs side by side."""
