"""Tools that agents may use: what a tool is (`tool.py`), the standard ones (`standard/`), and MCP servers (`mcp/`)."""
