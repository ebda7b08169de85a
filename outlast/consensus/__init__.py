"""Several agents answer the same question and vote. Start with `voting.py`: the rules, as plain functions."""
