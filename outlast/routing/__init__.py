"""Which agents a request goes to: by a classifier, a trained model, or an LLM router. Start with `choosing.py`."""
