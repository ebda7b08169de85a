"""One entry for each path that a workflow can take, by pattern.

`make record-histories` runs them all and writes `histories/<name>.json`; the replay test replays those files. A
history recorded on one path says nothing about the others, so a new branch in workflow code needs an entry here.
"""

from tests.replay.budget_paths import BUDGET_PATHS
from tests.replay.consensus_paths import CONSENSUS_PATHS
from tests.replay.ended_paths import ENDED_PATHS
from tests.replay.gate_paths import GATE_PATHS
from tests.replay.path import Path
from tests.replay.plan_paths import DOCUMENT_PATHS, PLAN_PATHS
from tests.replay.policy_paths import POLICY_PATHS
from tests.replay.refund_paths import REFUND_PATHS
from tests.replay.research_paths import RESEARCH_PATHS
from tests.replay.routing_paths import ROUTING_PATHS
from tests.replay.session_paths import SESSION_PATHS
from tests.replay.staged_paths import STAGED_PATHS
from tests.replay.steering_paths import STEERING_PATHS
from tests.replay.stream_paths import STREAM_PATHS
from tests.replay.told_paths import TOLD_PATHS

PATHS: dict[str, Path] = (
    BUDGET_PATHS
    | GATE_PATHS
    | PLAN_PATHS
    | POLICY_PATHS
    | DOCUMENT_PATHS
    | REFUND_PATHS
    | ENDED_PATHS
    | RESEARCH_PATHS
    | ROUTING_PATHS
    | SESSION_PATHS
    | STAGED_PATHS
    | CONSENSUS_PATHS
    | STEERING_PATHS
    | STREAM_PATHS
    | TOLD_PATHS
)
