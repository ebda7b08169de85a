"""The worked example on real processes: decided while the worker is dead, killed in the booking, and taken back."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.conftest import binary
from tests.processes import PROJECT, wait_for
from tests.stacks import Stack, whole_stack
from tests.workflow.refunding import Shop, shop_in

LAMP = str(PROJECT / "samples" / "refunds" / "lamp.json")
CABLE = str(PROJECT / "samples" / "refunds" / "cable.json")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, make_httpserver: HTTPServer) -> Iterator[Shop]:
    with shop_in(tmp_path_factory.mktemp("shop"), make_httpserver.url_for("/bookings")) as opened:
        yield opened


@pytest.fixture(scope="module")
def stack(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_stack(tmp_path_factory.mktemp("stack"), **shop.settings, TOOL_WAIT="1") as stack:
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


def test_a_folder_is_no_request(stack: Stack, tmp_path: Path) -> None:
    ended = stack.run("refund", str(tmp_path))
    assert (ended.returncode, "FILE" in ended.stderr) == (2, True)
