"""Human approval as a pattern: a run opens a gate for a proposed action, and goes on with what people decided.

    decision = await self.gates.open(ProposedAction(description="pay", tool="pay", input={"amount": 5}), GatePolicy(needed=2))
    if decision.approved:
        await pay(decision.action, decision.approval)

Act on `decision.action`, which a person may have edited, and hand `decision.approval` to the activity, which checks it.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from temporalio import workflow

from outlast.approvals import messages as gate_messages
from outlast.approvals.book import GateBook
from outlast.approvals.deadlines import PeopleTime, next_due
from outlast.approvals.identity import UNSIGNED, Authentication, Checked, admitted, after_reset
from outlast.approvals.rules import Check, Describe, Facts, denied_before, names_for
from outlast.approvals.views import (
    TURNED_DOWN,
    changed_gates,
    decision_of,
    index_of,
    memo_of,
    news_of,
    noise_text,
    timer_text,
    view_of,
)
from outlast.contracts import (
    GATES_IN_MEMO,
    NOISE,
    Decision,
    DecisionLog,
    GateDecision,
    GatePolicy,
    GateRecord,
    GatesCarried,
    GateState,
    GateTerms,
    GateView,
    ProposedAction,
    RecordKind,
    Verdict,
    WaitingActions,
)
from outlast.errors import ErrorKind, non_retryable
from outlast.notices.notifying import NEWS, Notifier, Notify, let_others_run
from outlast.notices.webhooks import Webhooks
from outlast.tracing.run_metrics import count_gate
from outlast.tracing.trace import RunTrace
from outlast.workflow import journal

RESET = "this run was reset: approvals from before count for nothing that is done from here on"


class Gates:
    """The gates of one run.

    `policy` and `requester` hold for gates that name none. Without `notify`, all channels of the deployment are used.
    `indexed` also writes the search attributes, only where they are registered: else the server refuses the task forever.
    `choices` are the options of gates that choose among some, `waits` counts the time in which people were waited for.
    """

    def __init__(self, trace: RunTrace, notify: Notify | None = None, *, indexed: bool = False) -> None:
        self.policy = GatePolicy()
        self.requester = ""
        self.notify = notify
        self.indexed = indexed
        self.waits = PeopleTime()
        self.choices: dict[str, tuple[str, ...]] = {}
        self.webhooks: Webhooks | None = None
        self._trace = trace
        self._book = GateBook()
        self._authentication = Authentication()
        self._published = 0
        self._in_memo: dict[str, GateView] = {}
        self.allowed, self.runs = dict[str, None](), dict[str, None]()  # tools; run ids of gates of the parts before
        self.notifier = Notifier(trace)

    @property
    def log(self) -> DecisionLog:
        """The decision log of this run."""
        return self._book.log

    @property
    def actions(self) -> WaitingActions:
        """What waits, whole."""
        return WaitingActions(actions={gate.name: gate.action for gate in self._book.waiting})

    def carried(self) -> GatesCarried:
        """Return all gates for the next part of this run (continue-as-new)."""
        return self._book.carried().model_copy(update={"tokens": self._authentication.used})

    def restore(self, carried: GatesCarried) -> None:
        """Take over the gates of the part before; a gate that is left open goes on when its action is proposed again."""
        if carried == GatesCarried():
            return
        self._book = GateBook(carried)
        self._authentication.restore(carried.tokens)
        self._published = carried.log.records[-1].seq if carried.log.records else 0
        views = [self._view(gate) for gate in self._book.waiting]
        self._in_memo = {view.name: view for view in views[:GATES_IN_MEMO]}  # a memo goes on with the run
        self._trace.waits_at(views)

    async def open(
        self,
        action: ProposedAction,
        policy: GatePolicy | None = None,
        *,
        requester: str = "",
        name: str = "",
        check: Check | None = None,
        describe: Describe | None = None,
        takes: Collection[str] | None = None,
    ) -> GateDecision:
        """Wait until people have decided on an action, or the policy's time is over: then it is denied.

        `check` is asked about every edit before it is taken, and says in words all that is wrong with it; `takes` names the
        arguments that an edit may give (None: those that the action has); `describe` says an edited action in words.
        An act that was denied in this run stays denied, without a gate, and what an earlier part of it decided is not asked
        again. Raises InputInvalid where nobody could ever approve it, and HaltedError where the policy halts the run.
        """
        asked = partial(self._open, action, policy, requester, name, (check, describe, takes))
        decision = await journal.once(f"gate {name} {action.digest}", GateDecision, asked)
        if decision.approval is not None and decision.approval.run in self.runs:
            terms = await self._authentication.learn(decision.action)  # who acts knows its own part of the run alone
            return decision.model_copy(update={"approval": decision.approval.model_copy(update={"run": terms.run})})
        return decision

    async def _open(
        self, action: ProposedAction, policy: GatePolicy | None, requester: str, name: str, how: tuple[Any, Any, Any]
    ) -> GateDecision:
        check, describe, takes = how
        if (before := denied_before(self._book.gates.values(), action)) is not None:
            self._trace.notice(f"{action.description!r} again: it was denied at {before.name} and stays so")
            return decision_of(before, workflow.info().workflow_id)
        if not name:
            with suppress(ValueError):  # raised below, where the gate opens; reserved here, as terms come in any order
                name = self._book.reserve(action.digest)
        policy, requester = policy or self.policy, requester or self.requester
        enter = partial(self._book.open, action, policy, requester=requester, name=name, check=check, describe=describe)
        gate = await self._entered(action, takes, enter)
        try:
            await self._settle(gate.name)
        except asyncio.CancelledError:
            self._book.cancel(gate.name, workflow.now())
            self._publish()
            raise
        await let_others_run()  # the notices of the outcome begin before the run ends
        return decision_of(self._book.claim(gate.name), workflow.info().workflow_id)

    async def receive(
        self, arguments: Sequence[Any], implied: Verdict | None = None, channel: str = "signal"
    ) -> GateRecord:
        """Take whatever a person sent, in its turn; never raises, and says in the record what came of it."""
        came = workflow.now()
        names = names_for(self._book.gates, self.policy, implied)
        read = gate_messages.read_decision(arguments, implied, channel, names)
        # Its check begins at once, beside those of others; only what it says is taken in the order of arrival.
        identified = self._authentication.identified
        checking = asyncio.create_task(identified(read, came)) if isinstance(read, Decision) else None
        async with self._authentication.turn:
            checked = await checking if checking is not None else read
            if isinstance(checked, Decision):  # again, where the first gate's terms became known meanwhile
                checked = await identified(checked, came)
            return self._take(read, checked, self._book.no_earlier(came), channel)

    async def answer(self, arguments: Sequence[Any]) -> GateRecord:
        """Take what a person sent who waits for the answer; raises InputInvalid with the reason where it changes nothing."""
        record = await self.receive(arguments, channel="update")
        if record.kind in TURNED_DOWN:
            raise non_retryable(ErrorKind.INPUT_INVALID, f"{record.kind}: {self._book.why or record.reason}")
        return record

    def allow(self, action: ProposedAction) -> None:
        """Put into the log that an action needs no person, because the request of the run allows its tool; once for each tool."""
        if action.tool in self.allowed:
            return
        self.allowed[action.tool] = None
        self._book.allowed(action, self.requester, self._book.no_earlier(workflow.now()))
        self._publish()

    async def _entered(
        self, action: ProposedAction, takes: Collection[str] | None, enter: Callable[..., GateState]
    ) -> GateState:
        """Put a gate into the book in its turn, by the terms of now."""
        # Nobody waits for the reading of the terms, nor for these checks: decisions at other gates go on meanwhile.
        terms, now = await self._authentication.learn(action), workflow.now()
        checked = await self._authentication.checked(self._book.early, now)
        async with self._authentication.turn:
            return self._enter(terms, self._book.no_earlier(now), checked, takes, enter, action)

    def _enter(
        self,
        terms: GateTerms,
        now: datetime,
        checked: Sequence[Checked],
        takes: Collection[str] | None,
        enter: Callable[..., GateState],
        action: ProposedAction,
    ) -> GateState:
        seen = len(self._book.records)
        self.indexed = self.indexed or terms.indexed
        if self.webhooks is not None:
            self.webhooks.known(terms.webhooks)
        self._book.early, refused = admitted(self._book.early, checked, UNSIGNED if terms.demands_token else "")
        for early, why in refused:
            self._book.refuse(early, why, now, message=False)
        if reset := after_reset(terms):
            self._trace.notice(RESET)
        try:
            gate = enter(now, facts=Facts(takes, terms.arguments, terms.run, reset, terms.policy))
        except ValueError as error:
            raise non_retryable(ErrorKind.INPUT_INVALID, f"gate for {action.description!r}: {error}") from error
        for record in self._book.records[seen:]:
            self._notice(record)
        return gate

    def _take(self, read: Decision | str, checked: Decision | str, at: datetime, channel: str) -> GateRecord:
        """Take a message in its turn: as it was read, and as the check of its token left it."""
        if isinstance(read, str):
            record = self._book.unreadable(read, at, channel)
        elif isinstance(checked, str):
            record = self._book.refuse(read, checked, at)
        else:
            record = self._book.decide(checked, at)
        self._notice(record)
        self._publish()
        return record

    async def _settle(self, name: str) -> None:
        """Wait for people, and wake for each reminder, the escalation and the deadline."""
        with self.waits:
            await self._wait(name)

    async def _wait(self, name: str) -> None:
        self._book.tick(workflow.now())
        self._publish()
        while (gate := self._book.gates[name]).pending:
            try:
                await workflow.wait_condition(
                    lambda: not self._book.gates[name].pending,
                    timeout=next_due(gate) - workflow.now(),
                    timeout_summary=timer_text(gate),
                )
            except TimeoutError:
                self._book.tick(workflow.now())
                self._publish()

    def _view(self, gate: GateState) -> GateView:
        return view_of(gate).model_copy(update={"signed": self._authentication.terms.demands_token})

    def _notice(self, record: GateRecord) -> None:
        """Show a message that changed nothing."""
        if record.kind in NOISE:
            self._trace.notice(noise_text(record))

    def _publish(self) -> None:
        """Show what waits, write new records into history, and tell people."""
        waiting = [self._view(gate) for gate in self._book.waiting]
        self._trace.waits_at(waiting)
        new = [record for record in self._book.records if record.seq > self._published]
        # A run that never opens a gate keeps the history it always had, whatever people send to it.
        if not new or not (self._book.gates or self.allowed):
            return
        self._published = new[-1].seq
        shown = waiting[:GATES_IN_MEMO]
        workflow.upsert_memo({**memo_of(self._book.log, new, waiting), **changed_gates(self._in_memo, shown)})
        self._in_memo = {view.name: view for view in shown}
        if self.indexed:
            workflow.upsert_search_attributes(index_of(self._book.waiting))
        notify = self.notify or self.notifier.by_channels(self._authentication.terms.channels)
        for record in new:
            gate = self._book.gates.get(record.gate)
            count_gate(self._trace.pattern, record, gate)
            if gate is None:
                continue
            if notify is not None and record.kind in NEWS:
                news = news_of(record, gate, self._view(gate))
                self.notifier.begin(notify(news), f"{gate.name} is {record.kind}")
            if self.webhooks and record.kind is RecordKind.OPENED:
                self.notifier.begin(
                    self.webhooks.gate_opened(self._view(gate), self.requester), f"{gate.name} has opened"
                )
