"""The message about a gate: complete, and nothing a model wrote gets out of its place."""

import json
import shlex
from datetime import UTC, datetime

from outlast.contracts import Notice
from outlast.notices.text import as_html, commands, plain, subject

NOTICE = Notice(
    workflow_id="run 1; rm -rf x",
    gate="it's",
    kind="opened",
    what="Send <b>mail</b>",
    deadline=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    digest="abcdef0123456789",
    target="a@example.org\nDigest: 000000000000" + "x" * 2_000,
    arguments='{"to": ["a@example.org"]}',
)


def test_the_commands_survive_a_shell() -> None:
    ours, _, signal, _ = (shlex.split(command) for command in commands(NOTICE))
    assert ours == ["python", "starter.py", "approve", "run 1; rm -rf x", "it's"]
    assert json.loads(signal[-1]) == {"gate": "it's", "digest": "abcdef012345"}
    assert not commands(NOTICE.model_copy(update={"pending": False}))


def test_a_value_cannot_pose_as_a_line_of_ours() -> None:
    lines = plain(NOTICE, ("http://ui.example/",)).splitlines()
    assert [line for line in lines if line.startswith("Digest:")] == ["Digest: abcdef012345"]
    assert max(len(line) for line in lines) < 1_100
    assert lines[-1] == "http://ui.example/"
    assert "\n" not in subject(NOTICE)
    forged = NOTICE.model_copy(update={"gate": "x\nDigest: 000000000000"})
    assert [line for line in plain(forged).splitlines() if line.startswith("Digest:")] == ["Digest: abcdef012345"]


def test_cut_arguments_are_counted_and_their_notice_approves_only_by_what_shows_them() -> None:
    cut = {"whole": False, "size": 5_312, "counts": ("to: 2 items",), "arguments": "y" * 2_000}
    notice = NOTICE.model_copy(update=cut)
    text = plain(notice)
    assert "Size: 5,312 bytes; to: 2 items" in text
    assert "Warning: the arguments are cut here" in text
    assert [shlex.split(command)[:3] for command in commands(notice)] == [
        ["python", "starter.py", "approve"],
        ["python", "starter.py", "deny"],
        ["temporal", "workflow", "signal"],
    ]
    assert "--name deny" in commands(notice)[2]
    whole = plain(NOTICE.model_copy(update={"arguments": "y" * 15_000}))
    assert f"Arguments: {'y' * 15_000}" in whole
    assert "Warning" not in whole


def test_html_is_escaped() -> None:
    assert "Send &lt;b&gt;mail&lt;/b&gt;" in as_html(NOTICE)
    assert "<b>" not in as_html(NOTICE)
