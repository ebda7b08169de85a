"""One file per figure; each takes the stack and gives plain data for JSON."""
