"""Human approval as a move: a run opens a gate for a proposed action, and goes on with what people decided.

    decision = await self.gates.open(ProposedAction(description="pay", tool="pay", input={"amount": 5}), GatePolicy(needed=2))
    if decision.approved:
        await pay(decision.action, decision.approval)

The trap: act on `decision.action`, which a person may have edited, and hand `decision.approval` to the activity, which checks it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from temporalio import workflow

from activities.contracts import SUMMARY_LENGTH, ProposedAction
from activities.errors import ErrorKind, final
from workflows.contracts import (
    GATES_MEMO,
    NOISE,
    RECORDS_MEMO,
    DecisionLog,
    GateDecision,
    GateNews,
    GatePolicy,
    GateRecord,
    GatesCarried,
    GatesShown,
    GateState,
    GateView,
    RecordKind,
    Verdict,
    WaitingActions,
)
from workflows.patterns import revision
from workflows.patterns.gate_book import Check, GateBook
from workflows.patterns.gate_messages import read_decision
from workflows.patterns.gate_rules import denied_before
from workflows.patterns.gate_views import decision_of, index_of, timer_text, view_of
from workflows.patterns.identity import Doorkeeper
from workflows.patterns.metering import count_gate
from workflows.patterns.notifying import Telling, others_turn, tell_by_channels
from workflows.patterns.tracing import RunLog

Notify = Callable[[GateNews], Awaitable[None]]
"""Tells people of a gate, most likely by an activity; what it raises is noted and changes nothing."""

NEWS = (
    RecordKind.OPENED,
    RecordKind.EDITED,
    RecordKind.REMINDED,
    RecordKind.ESCALATED,
    RecordKind.APPROVED,
    RecordKind.DENIED,
    RecordKind.TIMED_OUT,
    RecordKind.HALTED,
)
"""Kinds of records that people are told of."""

TURNED_DOWN = (RecordKind.REFUSED, RecordKind.UNREADABLE, RecordKind.LATE)
TURNED_DOWN_SHOWN = 3


class Gates:
    """The gates of one run.

    `policy` and `requester` hold for gates that name none. Without `notify`, people are told by all channels of the
    deployment. `indexed` also writes the search attributes PendingGate and
    GateDeadline; only where they are registered, because the server otherwise refuses the workflow task for ever, and no `try`
    sees it. `choices` are the options of gates that choose among some, `waited` the seconds in which any gate was open.
    """

    def __init__(self, log: RunLog, notify: Notify | None = None, *, indexed: bool = False) -> None:
        self.policy = GatePolicy()
        self.requester = ""
        self.notify = notify
        self.indexed = indexed
        self.waited = 0.0
        self._settling = 0
        self._since = 0.0
        self.choices: dict[str, tuple[str, ...]] = {}
        self._log = log
        self._book = GateBook()
        self._door = Doorkeeper()
        self._published = 0
        self._telling = Telling(log)

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
        return self._book.carried().model_copy(update={"tokens": self._door.used})

    def restore(self, carried: GatesCarried) -> None:
        """Take over the gates of the part before; a gate that is left open goes on when its action is proposed again."""
        if carried == GatesCarried():
            return
        self._book = GateBook(carried)
        self._door.restore(carried.tokens)
        self._published = carried.log.records[-1].seq if carried.log.records else 0
        self._log.waits_at([self._view(gate) for gate in self._book.waiting])

    async def open(
        self,
        action: ProposedAction,
        policy: GatePolicy | None = None,
        *,
        requester: str = "",
        name: str = "",
        check: Check | None = None,
    ) -> GateDecision:
        """Wait until people have decided on an action, or the policy's time is over: then it is denied.

        `check` is asked about every edit before it is taken, and says in words all that is wrong with it.
        An act that was denied in this run stays denied, without a gate. Raises InputInvalid where nobody could ever approve
        it, and HaltedError where the policy halts the run.
        """
        before = denied_before(self._book.gates.values(), action)
        if before is not None and revision.since(revision.FAULTS_FIXED):
            self._log.notice(f"{action.description!r} was asked for again; it was denied at {before.name} and stays so")
            return decision_of(before, workflow.info().workflow_id)
        async with self._door.turn:
            await self._door.learn()
            self.indexed = self.indexed or self._door.terms.indexed
            seen, now = len(self._book.records), workflow.now()
            await self._identify_early(now)
            try:
                gate = self._book.open(
                    action,
                    policy or self.policy,
                    now,
                    requester=requester or self.requester,
                    name=name,
                    check=check,
                )
            except ValueError as error:
                raise final(ErrorKind.INPUT_INVALID, f"gate for {action.description!r}: {error}") from error
            for record in self._book.records[seen:]:
                self._notice(record)
        try:
            await self._settle(gate.name)
        except asyncio.CancelledError:
            self._book.cancel(gate.name, workflow.now())
            self._publish()
            raise
        await others_turn()  # whoever is told of the outcome begins before the run goes on, and perhaps ends
        return decision_of(self._book.claim(gate.name), workflow.info().workflow_id)

    async def receive(
        self, arguments: Sequence[Any], implied: Verdict | None = None, channel: str = "signal"
    ) -> GateRecord:
        """Take whatever a person sent, in its turn; never raises, and says in the record what came of it."""
        came = workflow.now()
        async with self._door.turn:
            # Not the time after the check of a token: replay may see another one there.
            at = self._book.no_earlier(came)
            read = read_decision(arguments, implied, channel)
            if isinstance(read, str):
                record = self._book.unreadable(read, at, channel)
            else:
                decision = await self._door.identified(read, at)
                record = (
                    self._book.refuse(read, decision, at)
                    if isinstance(decision, str)
                    else self._book.decide(decision, at)
                )
            self._notice(record)
            self._publish()
        return record

    async def answer(self, arguments: Sequence[Any]) -> GateRecord:
        """Take what a person sent who waits for the answer; raises InputInvalid with the reason where it changes nothing."""
        record = await self.receive(arguments, channel="update")
        if record.kind in TURNED_DOWN:
            raise final(ErrorKind.INPUT_INVALID, f"{record.kind}: {self._book.why or record.reason}")
        return record

    @property
    def telling(self) -> bool:
        """Whether people are still being told."""
        return self._telling.pending > 0

    async def finish_telling(self) -> None:
        """Let a run that ends tell what it has begun to tell, for a few seconds: the server drops what is left over."""
        await self._telling.finish()

    async def _identify_early(self, now: datetime) -> None:
        """Hold decisions that came before any gate to the terms that are known now."""
        waiting, self._book.early = self._book.early, []
        for early in waiting:
            decision = await self._door.identified(early, now)
            if isinstance(decision, str):
                self._book.refuse(early, decision, now, message=False)
            else:
                self._book.early.append(decision)

    async def _settle(self, name: str) -> None:
        """Wait for people, and count the time in which any gate was open: it is nobody's working time."""
        if not self._settling:
            self._since = workflow.time()
        self._settling += 1
        try:
            await self._wait(name)
        finally:
            self._settling -= 1
            if not self._settling and workflow.in_workflow():  # not where a run that leaves memory is closed
                self.waited += workflow.time() - self._since

    async def _wait(self, name: str) -> None:
        """Wake for each reminder, the escalation and the deadline."""
        self._book.tick(workflow.now())
        self._publish()
        while (gate := self._book.gates[name]).pending:
            try:
                await workflow.wait_condition(
                    lambda: not self._book.gates[name].pending,
                    timeout=min(gate.alarms) - workflow.now(),
                    timeout_summary=timer_text(gate),
                )
            except TimeoutError:
                self._book.tick(workflow.now())
                self._publish()

    def _view(self, gate: GateState) -> GateView:
        return view_of(gate).model_copy(update={"signed": self._door.terms.demands_token})

    def _notice(self, record: GateRecord) -> None:
        """Show a message that changed nothing."""
        if record.kind in NOISE:
            about = " ".join(
                part for part in (record.gate, record.verdict, f"by {record.by}" if record.by else "") if part
            )
            self._log.notice(f"{about or 'a decision'} is {record.kind}: {record.reason}")

    def _publish(self) -> None:
        """Show what waits, write new records into history, and tell people."""
        waiting = [self._view(gate) for gate in self._book.waiting]
        self._log.waits_at(waiting)
        new = [record for record in self._book.records if record.seq > self._published]
        # A run that never opens a gate keeps the history it always had, whatever people send to it.
        if not new or not self._book.gates:
            return
        self._published = new[-1].seq
        down = [record for record in self._book.records if record.kind in TURNED_DOWN] if waiting else []
        shown = GatesShown(
            waiting=tuple(waiting),
            records=new[-1].seq,
            head=new[-1].hash,
            turned_down=tuple(f"{each.kind}: {each.reason}"[:SUMMARY_LENGTH] for each in down[-TURNED_DOWN_SHOWN:]),
        )
        workflow.upsert_memo(
            {GATES_MEMO: shown, RECORDS_MEMO: DecisionLog(records=tuple(new), unkept=self._book.unkept)}
        )
        if self.indexed:
            workflow.upsert_search_attributes(index_of(self._book.waiting))
        notify, channels = self.notify, self._door.terms.channels
        if notify is None and channels:
            notify = partial(tell_by_channels, self._log, channels)
        for record in new:
            count_gate(self._log.pattern, record, self._book.gates.get(record.gate))
            if notify is not None and record.kind in NEWS:
                self._tell(notify, record)

    def _tell(self, notify: Notify, record: GateRecord) -> None:
        """Tell people in the background: whoever cannot be reached must not hold up a decision."""
        gate = self._book.gates[record.gate]
        news = GateNews(
            workflow_id=workflow.info().workflow_id,
            kind=record.kind,
            gate=self._view(gate),
            outcome=gate.outcome,
            to=gate.policy.escalate_to if record.kind is RecordKind.ESCALATED else gate.may_decide,
            head=record.hash,
        )

        self._telling.begin(notify(news), f"{record.gate} is {record.kind}")
