"""The metrics that the deployment's dashboard and alerts ask for, to be compared with what real runs export."""

import json
import re

import yaml

from tests.real_process import PROJECT

DEPLOY = PROJECT / "deploy"


def asked_metrics(prefix: str) -> set[str]:
    """Every metric with this prefix that the dashboard or an alert asks for."""
    board = json.loads((DEPLOY / "grafana" / "agents.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())
    asked += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    # Labels stand within braces or "by (…)".
    bare = [re.sub(r"by \([^)]*\)|\{[^}]*\}", "", text) for text in asked]
    named = {name for text in bare for name in re.findall(r"\b[a-z_]+\b(?!\()", text)}
    return {name for name in named if name.startswith(prefix)}
