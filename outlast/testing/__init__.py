"""Tests of workflows with agents: a scripted model, an environment with all activities, and the replay of recorded runs.

Open `environment.py` first: `agent_environment(…)` runs a real Temporal server, the real activities and a temporary content
store; only the model is scripted (`scripted(…)` of `answers.py`).
Others use these and `assert_replays(…)` of `replaying.py`, which checks that code fits earlier runs.
"""

from outlast.testing.answers import call_tool, scripted
from outlast.testing.environment import AgentEnvironment, agent_environment
from outlast.testing.replaying import assert_replays

__all__ = ["AgentEnvironment", "agent_environment", "assert_replays", "call_tool", "scripted"]
