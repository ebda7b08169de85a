"""The web inbox: what waits for people, on pages that work without scripts, and the decisions they send."""
