"""Plans as graphs: reading what a model wrote, checking, repairing, making and running them.

Open `making.py` first (a plan comes about), then `running.py` (its steps run); the scheduler itself is `outlast.dag`.
Others use `read_plan`, `problems`, `PlanMaking` and `PlanRunning`.
"""
