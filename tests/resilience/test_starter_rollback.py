"""`starter.py rollback` against real processes: what a running agent has changed is taken back and listed."""

from pathlib import Path

from tests.processes import wait_for
from tests.stacks import whole_stack


def test_a_running_agent_is_rolled_back_and_each_change_listed(tmp_path: Path) -> None:
    with whole_stack(tmp_path) as stack:
        stack.api.script(
            rules=[
                {"tool": "write_file", "input": {"path": "a.md", "content": "new"}, "before_turn": 1},
                {"text": "late", "latency": 300},
            ]
        )
        stack.done("agent", "file-clerk", "write", "--id", "run", "--detach")
        file = tmp_path / "state" / "workspace" / "a.md"
        wait_for(lambda: len(stack.api.hits()) == 2, "the agent to have written")
        assert file.read_text() == "new"
        refused = stack.run("rollback", "run", "--to", "nowhere")
        assert refused.returncode == 2
        assert "there is no checkpoint 'nowhere'" in refused.stderr
        said = stack.done("rollback", "run")
        assert "run is rolled back: 1 undone" in said
        assert "undone         session · write_file(path=a.md, content=new)" in said
        assert not file.exists()
        again = stack.run("rollback", "run")
        assert (again.returncode, "nothing to roll back: 1 undone" in again.stderr) == (2, True)
        stack.api.reset()
        stack.api.script(rules=[{"tool": "write_file", "input": {"path": "b.md", "content": "new"}, "before_turn": 1}])
        assert "changes: 1 kept" in stack.done("agent", "file-clerk", "write", "--id", "whole")
        ended = file.with_name("b.md")
        assert ended.read_text() == "new"
        assert "whole is rolled back: 1 undone" in stack.done("rollback", "whole")
        assert not ended.exists()
        ended.write_text("of somebody else")
        second = stack.run("rollback", "whole")
        assert (second.returncode, "was rolled back before: rollback-" in second.stderr) == (0, True)
        assert ended.read_text() == "of somebody else"
