"""The worked example on real processes: decided while the worker is dead, killed in the booking, and taken back."""

import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.conftest import binary
from tests.processes import PROJECT, wait_for
from tests.real_process import command_of
from tests.stacks import Stack, whole_stack
from tests.workflow.undo.refunding import Shop, shop_in

EMPTY = "empty"
"""A namespace without any worker."""
WORKER = "samples/refund/worker.py"
LAMP = str(PROJECT / "samples" / "refund" / "lamp.json")
CABLE = str(PROJECT / "samples" / "refund" / "cable.json")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, make_httpserver: HTTPServer) -> Iterator[Shop]:
    with shop_in(tmp_path_factory.mktemp("shop"), make_httpserver.url_for("/bookings")) as opened:
        yield opened


@pytest.fixture(scope="module")
def stack(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("stack")
    with whole_stack(
        directory, options=("--namespace", EMPTY), program=WORKER, **shop.settings, TOOL_WAIT="1"
    ) as stack:
        stack.api.script(
            rules=[
                {"system": "You sort requests", "data": {"category": "billing", "confidence": 0.9}},
                {"system": "customers on billing", "data": {"amount": 1, "reason": "broken"}},
            ]
        )
        yield stack


def approve(stack: Stack, run: str, who: str) -> None:
    command = [
        binary("temporal"),
        "workflow",
        "signal",
        "-w",
        run,
        "--name",
        "approve",
        "--input",
        f'{{"by": "{who}"}}',
    ]
    subprocess.run([*command, "--address", stack.server.address], check=True, capture_output=True)


def test_a_refund_that_fails_late_is_taken_back_although_the_worker_dies_twice(
    stack: Stack, shop: Shop, httpserver: HTTPServer
) -> None:
    asked, mails = threading.Event(), len(shop.sink.mails)
    sent: list[str] = []

    def ledger(request: Request) -> Response:
        sent.append(request.method)
        asked.set()
        return Response("broken", status=500 if request.method == "PUT" else 404)

    httpserver.expect_request("/bookings/ORD-1001").respond_with_handler(ledger)
    url = httpserver.url_for("/bookings")
    stack.done("refund", LAMP, "--ledger", url, "--requester", "carl", "--id", "lamp", "--detach")
    wait_for(lambda: stack.json("status", "lamp")["gates"], "the run waits at its gate")
    stack.worker.kill()
    approve(stack, "lamp", "carl")
    approve(stack, "lamp", "ann")
    approve(stack, "lamp", "bob")
    stack.worker.start()
    assert asked.wait(60), "the booking was never asked for"
    assert ("ORD-1001", 18_000, "broken") in shop.refunds
    stack.worker.kill()
    stack.worker.start()

    ended = stack.run("result", "lamp")

    assert ended.returncode == 1, ended.stdout
    assert "approved by ann, bob at gate-1" in ended.stdout
    became = {" ".join(line.split("·")[0].split()) for line in ended.stdout.splitlines() if line.startswith("  ")}
    assert {"undone row", "not undoable mail", "not happened booking"} <= became, ended.stdout
    assert "ORD-1001" not in {order for order, *_ in shop.refunds}
    assert len({mail["Message-ID"] for mail in shop.sink.mails[mails:]}) == 1
    assert "DELETE" in sent


def test_fail_at_booking_shows_a_rollback_to_whoever_types_it(stack: Stack, shop: Shop) -> None:
    order = ("--order", "ORD-1003", "--text", "It never came.", "--amount", "150", "--requester", "carl")
    mails = len(shop.sink.mails)
    stack.done("refund", *order, "--fail-at", "booking", "--id", "shown", "--detach")
    wait_for(lambda: stack.json("status", "shown")["gates"], "the run waits at its gate")
    for who in ("ann", "bob"):
        stack.done("approve", "shown", "--as", who)

    ended = stack.run("result", "shown")

    assert ended.returncode == 1, ended.stdout
    assert "approved by ann, bob at gate-1" in ended.stdout
    assert "booking: " in ended.stderr, ended.stderr
    became = {" ".join(line.split("·")[0].split()) for line in ended.stdout.splitlines() if line.startswith("  ")}
    assert {"undone row", "not undoable mail"} <= became, ended.stdout
    assert "ORD-1003" not in {order for order, *_ in shop.refunds}
    assert len(shop.sink.mails) == mails + 1


def test_below_the_limit_it_is_done_at_once_and_what_is_wrong_is_named(stack: Stack, shop: Shop) -> None:
    assert "order ORD-1002: refunded · 45.00" in stack.done("refund", CABLE)
    assert ("ORD-1002", 4500, "broken") in shop.refunds
    again = stack.run("refund", CABLE)
    assert again.returncode == 1
    assert "nothing of 'ORD-1002' is left to give back" in again.stderr
    wrong = stack.run("refund", "--order", "1; DROP", "--text", "x")
    assert (wrong.returncode, "order: name the order" in wrong.stderr) == (2, True)


def test_without_a_worker_the_command_runs_one_and_ends_it(stack: Stack, shop: Shop) -> None:
    """The server still lists the worker that is gone, as it lists each for minutes after its end."""
    with closing(sqlite3.connect(shop.database)) as connection, connection:
        connection.execute("INSERT INTO orders VALUES ('ORD-1004', 'Dan', 'dan@example.org', 5000)")
    order = ("--order", "ORD-1004", "--text", "It came late.", "--amount", "50")
    stack.worker.kill()
    try:
        ended = stack.run("refund", *order, **shop.settings)
    finally:
        stack.worker.start()
        polls = lambda: f"{stack.worker.pid}@" in stack.temporal("task-queue", "describe", "--task-queue", "refunds")  # noqa: E731
        wait_for(polls, "the server knows the worker")  # the next command would run one of its own
    assert "order ORD-1004: refunded · 50.00" in ended.stdout, ended.stderr
    assert "no worker serves task queue 'refunds': one runs for as long as this waits" in ended.stderr
    log = (stack.directory / "state" / "logs" / "refund-worker.log").read_text()
    assert "worker ready: task queue 'refunds'" in log
    assert "stopping: waiting for running calls to finish" in log
    assert serving(stack) == []


def test_detached_it_names_the_command_that_starts_a_worker(stack: Stack) -> None:
    order = ("--order", "ORD-1002", "--text", "It came late.", "--detach")
    ended = stack.run("refund", *order, TEMPORAL_NAMESPACE=EMPTY)
    assert "Start one with 'python -m samples.refund.worker'." in ended.stderr
    assert serving(stack) == []


@pytest.mark.parametrize(("options", "code"), [((), 3), (("--detach",), 0)])
def test_on_a_queue_of_others_it_starts_no_worker_and_says_which_is_needed(
    stack: Stack, options: tuple[str, ...], code: int
) -> None:
    order = ("--order", "ORD-1002", "--text", "It came late.", "--task-queue", "of-others", *options)
    ended = stack.run("refund", *order, WORKER_WAIT="0")
    assert ended.returncode == code, ended.stderr
    assert "no worker serves task queue 'of-others'" in ended.stderr
    assert "Start one that serves RefundWorkflow beside what else runs there" in ended.stderr
    assert "one runs for as long as this waits" not in ended.stderr
    assert serving(stack) == []


def serving(stack: Stack) -> list[str]:
    """The commands of refund workers that the starter has left behind."""
    found = [one for one in psutil.process_iter() if "samples.refund.worker" in command_of(one)]
    return [command_of(one) for one in found if one.environ().get("STATE_DIR") == stack.env["STATE_DIR"]]


def test_a_folder_is_no_request(stack: Stack, tmp_path: Path) -> None:
    ended = stack.run("refund", str(tmp_path))
    assert (ended.returncode, "FILE" in ended.stderr) == (2, True)
