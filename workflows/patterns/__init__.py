"""The moves, one per file, usable from any workflow; none imports a workflow."""
