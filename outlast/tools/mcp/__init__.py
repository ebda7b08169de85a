"""Tools of MCP servers: configuration, sessions, and their results. Start with `servers.py`."""
