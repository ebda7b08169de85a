"""What a run tells of itself: step trace, spans, details for the Web UI, live text. Start with `trace.py`."""
