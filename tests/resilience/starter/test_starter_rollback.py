"""`starter.py rollback` against real processes: changes are taken back and listed, and what failed is tried again."""

from pathlib import Path

from tests.processes import running_starter, wait_for
from tests.stacks import Stack, whole_stack


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
        _tries_again(stack, file.with_name("c.md"))


def _tries_again(stack: Stack, file: Path) -> None:
    """An undo that failed, and was given up, is made by the same command once what was in its way is gone."""
    stack.api.reset()
    stack.api.script(rules=[{"tool": "write_file", "input": {"path": "c.md", "content": "new"}, "before_turn": 1}])
    stack.done("agent", "file-clerk", "write", "--id", "stuck")
    file.write_text("of somebody else")
    with running_starter(stack.directory, "rollback", "stuck", env=stack.env, name="stuck") as asking:
        asking.wait_until(lambda: stack.json("inbox"), "the undo to be put before a person", timeout=30)
        stack.done("deny", stack.json("inbox")[0]["id"], "--as", "ada")
        asking.wait_until(lambda: "not every change could" in asking.output, "the undo to be given up", timeout=30)
        assert "try again what could not be undone: python starter.py rollback stuck" in asking.output
    assert file.read_text() == "of somebody else"
    file.write_text("new")
    again = stack.run("rollback", "stuck")
    assert (again.returncode, "what failed is tried again" in again.stderr) == (0, True)
    assert "stuck is rolled back: 1 undone" in again.stdout
    assert not file.exists()
    third = stack.run("rollback", "stuck")
    assert (third.returncode, "was rolled back before: rollback-" in third.stderr) == (0, True)
