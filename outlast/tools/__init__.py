"""Tools that agents may use: what a tool is, the standard ones (`standard/`), and MCP servers (`mcp/`).

Open `tool.py` first: the decorator `@tool` and what it promises; `activities.py` calls one.
Others use `tool`, `Tool`, `ToolError` and `standard_tools`.
"""
