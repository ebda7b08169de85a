"""The web pages of the server: what runs, what waits for people, one run, one action; they work without scripts."""
