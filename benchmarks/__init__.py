"""Measures the product's own path beside bare Temporal in one run: `python -m benchmarks`, results in `docs/performance.md`."""
