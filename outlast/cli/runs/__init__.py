"""Commands that find, start, wait for and describe runs."""
