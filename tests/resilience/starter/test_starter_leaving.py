"""A short command leaves with its own exit code, every time: the SDK can crash an interpreter that merely ends."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.processes import PROJECT, clean_environment, dev_server, starter

TIMES = 24
AT_ONCE = 4
FINALISES = "import atexit, pathlib; atexit.register(pathlib.Path(r'{flag}').touch)"
"""Runs in each interpreter before anything else; leaves a file where the interpreter comes to its own end."""


@pytest.mark.timeout(300)
def test_short_commands_leave_with_the_right_code_and_never_by_the_interpreter_s_own_end(tmp_path: Path) -> None:
    """Half of them succeed and half of them fail, so that a code of 0 for everything would be seen.

    The crash itself is rare; what keeps it away is that no interpreter finalises, which is seen each time.
    """
    flag = tmp_path / "finalised"
    (tmp_path / "sitecustomize.py").write_text(FINALISES.format(flag=flag))
    subprocess.run([sys.executable, "-c", ""], env=clean_environment(PYTHONPATH=str(tmp_path)), check=True)
    assert flag.exists(), "it would be seen"
    flag.unlink()
    with dev_server(tmp_path) as server:
        env = clean_environment(TEMPORAL_ADDRESS=server.address, STATE_DIR=str(tmp_path), PYTHONPATH=str(tmp_path))
        commands = [(["list", "--limit", "1"], 0), (["status", "no-such-run"], 2)] * (TIMES // 2)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            codes = list(pool.map(lambda command: starter(*command[0], env=env, interpreter=True).returncode, commands))

    wrong = [(command, code) for (command, expected), code in zip(commands, codes, strict=True) if code != expected]
    assert wrong == []
    assert not flag.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan"], "TASK: say what to do, or give your own plan with --plan FILE"),
        (["plan", "x", "--task-file", "y"], "either as TASK or by --task-file, not both"),
        (["plan", "--task-file", "missing.txt"], "--task-file missing.txt cannot be read (No such file"),
        (["plan", "--plan", "missing.json"], "--plan missing.json cannot be read (No such file"),
        (["plan", "--plan", "broken.json"], "--plan broken.json: not JSON at line 2, column 3"),
        (["plan", "--plan", "form.json"], "steps[0].input: field required; say in one text what the agent shall do"),
        (["plan", "x", "--fallback-plan", "form.json"], "--fallback-plan form.json: steps[0].input: field required"),
        (["plan", "--plan", "latin1.json"], "--plan latin1.json: not UTF-8 at byte 2; save it as UTF-8"),
        (["plan", "--task-file", "long.txt"], "task: String should have at most 200000 characters"),
        (["plan", "x", "--max-parallel", "0"], "'--max-parallel'"),
        (["plan", "x", "--on-step-failure", "panic"], "'--on-step-failure'"),
        (["document"], "Missing argument 'FILE'"),
        (["list", "--limit", "0"], "'--limit'"),
        (["dance"], "No such command 'dance'"),
        (["list", "--dance"], "No such option: --dance"),
    ],
)
def test_wrong_usage_is_code_2_and_says_what_is_wrong(tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "broken.json").write_text("{\n  steps: []}")
    (tmp_path / "form.json").write_text('[{"step": 1, "agent": "writer"}]')
    (tmp_path / "latin1.json").write_bytes('["ä"]'.encode("latin-1"))
    (tmp_path / "long.txt").write_text("x" * 200_001)
    # No server is there: wrong input is found before anything is reached.
    env = clean_environment(TEMPORAL_ADDRESS="127.0.0.1:9")

    ended = _in(tmp_path, *arguments, env=env)

    assert ended.returncode == 2, ended.stderr
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_agents_are_listed_with_their_models(tmp_path: Path) -> None:
    (tmp_path / "writer.md").write_text(
        "---\nname: writer\ndescription: Writes.\nmodel: opus\ntools: read, write\n---\nWrite."
    )

    ended = _in(tmp_path, "agents", env=clean_environment(AGENTS_DIR=str(tmp_path), ANTHROPIC_API_KEY="k"))

    assert ended.returncode == 0, ended.stderr
    *agents, models, legend = ended.stdout.splitlines()
    rows = {line.split()[0]: line.split(maxsplit=3)[1:] for line in agents}
    assert rows["writer"] == ["opus", "own", "Writes. · tools: read, write"]
    assert rows["judge"][1] == "default", "the library's own"
    assert "opus → claude-opus-5-5" in models
    assert legend.startswith("default: ")


def test_bad_agent_file_is_named_with_line_and_fix(tmp_path: Path) -> None:
    (tmp_path / "bad.md").write_text("---\nname: Bad Name\ndescription: Does.\nmax_tokens: many\n---\nDo.")
    (tmp_path / "good.md").write_text("---\nname: Good Name\ndescription: Does.\n---\nDo.")
    (tmp_path / "README.md").write_text("# The team\n")

    ended = _in(tmp_path, "agents", env=clean_environment(AGENTS_DIR=str(tmp_path)))

    assert ended.returncode == 1
    assert "good-name (Good Name)" in ended.stdout
    assert f"{tmp_path}/bad.md:4: max_tokens: input should be a valid integer" in ended.stderr
    assert f"skipped: {tmp_path}/README.md:1: no front matter" in ended.stderr


def test_output_into_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} {PROJECT / 'starter.py'} agents | true; echo ${{PIPESTATUS[0]}}"

    ended = subprocess.run(
        ["bash", "-c", command], env=clean_environment(), capture_output=True, text=True, check=True, cwd=tmp_path
    )

    assert (ended.stdout, ended.stderr) == ("0\n", "")


def _in(directory: Path, *arguments: str, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(PROJECT / "starter.py"), *arguments],
        env=env,
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
