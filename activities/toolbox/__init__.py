"""The tools themselves, one file for each group; `tool` says what a tool is."""
