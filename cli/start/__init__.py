"""The commands that start work, one file each; `agents`, which shows who does it, and `train-router`, which teaches."""

COMMANDS = {
    "demo": "cli.demo.command:demo",
    "document": "cli.start.document:document",
    "plan": "cli.start.plan:plan",
    "staged": "cli.start.staged:staged",
    "route": "cli.start.route:route",
    "train-router": "cli.start.train_router:train_router",
    "research": "cli.start.research:research",
    "consensus": "cli.start.consensus:consensus",
    "agent": "cli.start.agent:agent",
    "chat": "cli.start.chat:chat",
    "agents": "cli.start.agents:agents",
}
"""Each command and where it stands: it is imported when it is asked for."""
