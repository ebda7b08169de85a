"""Tests of workflows with agents: a scripted model, an environment with all activities, and the replay of recorded runs.

`agent_environment(…)` (environment.py) runs a real Temporal server, the real activities and a temporary content store; only the
model is scripted (`scripted(…)`, answers.py). `assert_replays(…)` (replaying.py) checks that code fits runs of before.
"""

from outlast.testing.answers import call_tool, scripted
from outlast.testing.environment import AgentEnvironment, agent_environment
from outlast.testing.replaying import assert_replays

__all__ = ["AgentEnvironment", "agent_environment", "assert_replays", "call_tool", "scripted"]
