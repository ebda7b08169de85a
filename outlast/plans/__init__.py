"""Plans as graphs: reading what a model wrote, checking, repairing, making and running them.

Start with `making.py` (a plan comes about) and `running.py` (its steps run); the graph itself is `outlast.dag`.
"""
