"""Human approval as a pattern: a run opens a gate for a proposed action, and goes on with what people decided."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from temporalio import workflow

from outlast.approvals.book import GateBook
from outlast.approvals.deadlines import PeopleTime, next_due
from outlast.approvals.identity import UNSIGNED, Authentication, admitted, after_reset, was_reset
from outlast.approvals.receiving import read, take
from outlast.approvals.rules import Check, Describe, Facts, denied_before, names_for
from outlast.approvals.views import (
    TURNED_DOWN,
    Published,
    Views,
    covered_by,
    decision_of,
    news_of,
    noise_text,
    timer_text,
)
from outlast.contracts import (
    NOISE,
    DecisionLog,
    GateDecision,
    GatePolicy,
    GateRecord,
    GatesCarried,
    GateState,
    GateTerms,
    GateView,
    Produced,
    ProposedAction,
    Verdict,
    WaitingActions,
)
from outlast.errors import ErrorKind, non_retryable
from outlast.notices.notifying import Notifier, Notify, let_others_run
from outlast.notices.slack.thread import RunInSlack
from outlast.notices.telling import tell
from outlast.notices.webhooks import Webhooks
from outlast.tracing.run_metrics import count_gate
from outlast.tracing.trace import RunTrace
from outlast.workflow import journal

RESET = "this run was reset: approvals from before count for nothing that is done from here on"


class Gates:
    """The gates of one run, where people approve what it proposes: `self.gates` of an `AgentWorkflow`.

    `policy` and `requester` hold for gates that name none; `asked_by` says who else asks for what the run does now. Without
    `notify`, all channels are used. `indexed` writes search attributes, which must be registered: else the task fails forever.
    `choices` are the options of gates that choose, `waits` counts waiting for people. Who changes `book` must `publish`.
    """

    def __init__(self, trace: RunTrace, notify: Notify | None = None, *, indexed: bool = False) -> None:
        self.policy, self.requester = GatePolicy(), ""
        self.asked_by: Callable[[], Sequence[str]] = tuple
        self.notify, self.indexed = notify, indexed
        self.waits = PeopleTime()
        self.choices: dict[str, tuple[str, ...]] = {}
        self.webhooks: Webhooks | None = None
        self._trace, self.book, self._published = trace, GateBook(), Published()
        self._authentication, self.notifier = Authentication(), Notifier(trace)
        self.allowed, self.runs = dict[str, None](), dict[str, None]()  # tools; run ids of gates of the parts before
        self.slack, self.news = RunInSlack(trace, self.notifier), 0
        self._views = Views()

    @property
    def log(self) -> DecisionLog:
        """The decision log of this run."""
        return self.book.log

    @property
    def actions(self) -> WaitingActions:
        """What waits, whole."""
        return WaitingActions(actions={gate.name: gate.action for gate in self.book.waiting})

    def denials(self, more: Sequence[GateState] = ()) -> tuple[GateState, ...]:
        """Return what people denied, here and in runs that belong together with this one, once it knows `more`."""
        self.book.elsewhere |= {gate.digest: gate for gate in more}
        book = self.book
        return (*book.elsewhere.values(), *(gate for gate in book.gates.values() if gate.denied))

    @property
    def run(self) -> str:
        """Run id under which a gate last opened, or a call was last covered; empty where neither happened."""
        return self._authentication.terms.run

    def carried(self) -> GatesCarried:
        """Return all gates for the next part of this run (continue-as-new)."""
        if was_reset():
            self.book.standing.end_before(workflow.info().run_id)
        more = {"slack": self.slack.stands, "elsewhere": tuple(self.book.elsewhere.values())}
        more |= {"tokens": self._authentication.used, "signed": self._authentication.terms.demands_token}
        return self.book.carried().model_copy(update=more)

    def restore(self, carried: GatesCarried) -> None:
        """Take over the gates of the part before; a gate that is left open goes on when its action is proposed again."""
        if carried == GatesCarried():
            return
        self.book = GateBook(carried)
        self._authentication.restore(carried.tokens, signed=carried.signed)
        self.book.signed = carried.signed
        self.denials(carried.elsewhere)
        self.slack.restore(carried.slack)
        views = [self._view(gate) for gate in self.book.waiting]
        # A memo goes on with the run.
        self._published = Published(carried.log.records[-1].seq if carried.log.records else 0, views)
        self._trace.waits_at(views, carried.standing)

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
        repeats: bool = False,
        before: Sequence[Produced] = (),
    ) -> GateDecision:
        """Wait until people have decided on an action, or the policy's time is over: then it is denied.

        What was denied in this run stays denied, without a gate; what its earlier parts decided is not asked again.

        Args:
            action: What is proposed.
            policy: Who must approve and until when; by default the run's own policy.
            requester: Who asks for it, and so may not approve it; by default whoever asked for the run.
            name: Name of the gate; by default `gate-1`, `gate-2` …
            check, describe: Called with an edited action: what is wrong with it; its description.
            takes: Arguments that an edit may give; None: those that the action has.
            repeats: Whether people may approve further calls of the same tool at the same time.
            before: What the steps before it produced, for people to see.

        Returns:
            The decision. Only where it is `approved`, act, and on its `action`: a person may have edited it.

        Raises:
            ApplicationError: InputInvalid where nobody could approve it, Halted where the policy ends the run.
        """
        asked = partial(self._open, action, policy, requester, name, (check, describe, takes, repeats, tuple(before)))
        decision = await journal.once(f"gate {name} {action.digest}", GateDecision, asked)
        if decision.approval is not None and decision.approval.run in self.runs:
            terms = await self._authentication.learn(decision.action)  # who acts knows its own part of the run alone
            return decision.model_copy(update={"approval": decision.approval.model_copy(update={"run": terms.run})})
        return decision

    async def _open(
        self, action: ProposedAction, policy: GatePolicy | None, requester: str, name: str, how: tuple[Any, ...]
    ) -> GateDecision:
        check, describe, takes, repeats, earlier = how
        if (before := denied_before(self.denials(), action)) is not None:
            self._trace.notice(f"{action.description!r} again: it was denied at {before.name} and stays so")
            return decision_of(before, workflow.info().workflow_id)
        policy, requester = policy or self.policy, requester or self.requester
        if repeats and (covered := await self._covered(action, policy, (requester, *self.asked_by()))) is not None:
            return covered
        if not name:
            with suppress(ValueError):  # raised below, where the gate opens; reserved here, as terms come in any order
                name = self.book.reserve(action.digest)
        facts = Facts(takes, repeats=repeats, before=earlier, asked_by=tuple(self.asked_by()))
        enter = partial(self.book.open, action, policy, requester=requester, name=name, check=check, describe=describe)
        gate = await self._entered(action, facts, enter)
        try:
            await self._settle(gate.name)
        except asyncio.CancelledError:
            self.book.cancel(gate.name, workflow.now())
            self.publish()
            raise
        await let_others_run()  # the notices of the outcome begin before the run ends
        return decision_of(self.book.claim(gate.name), workflow.info().workflow_id)

    async def receive(
        self, arguments: Sequence[Any], implied: Verdict | None = None, channel: str = "signal"
    ) -> GateRecord:
        """Take whatever a person sent, in its turn; never raises, and says in the record what came of it."""
        names = names_for(self.book.gates, self.policy, implied)
        decision = read(arguments, implied, channel, names)
        return await take(self.book, self._authentication, decision, channel, self._taken)

    async def answer(self, arguments: Sequence[Any]) -> GateRecord:
        """Take what a person sent who waits for the answer; raises InputInvalid with the reason where it changes nothing."""
        record = await self.receive(arguments, channel="update")
        if record.kind in TURNED_DOWN:
            raise non_retryable(ErrorKind.INPUT_INVALID, f"{record.kind}: {self.book.why or record.reason}")
        return record

    def allow(self, action: ProposedAction) -> None:
        """Put into the log that an action needs no person, because the request of the run allows its tool; once for each tool."""
        if action.tool in self.allowed:
            return
        self.allowed[action.tool] = None
        self.book.allowed(action, self.requester, self.book.no_earlier(workflow.now()))
        self.publish()

    async def _entered(self, action: ProposedAction, facts: Facts, enter: Callable[..., GateState]) -> GateState:
        """Put a gate into the book in its turn, by the terms of now."""
        # Nobody waits for the reading of the terms, nor for these checks: decisions at other gates go on meanwhile.
        terms, now = await self._authentication.learn(action), workflow.now()
        checked = await self._authentication.checked(self.book.early, now)
        async with self._authentication.turn:
            now, seen = self.book.no_earlier(now), len(self.book.records)
            self.indexed = self.indexed or terms.indexed
            if self.webhooks is not None:
                self.webhooks.known(terms.webhooks)
            self.slack.known(terms.slack)
            self.book.early, refused = admitted(self.book.early, checked, UNSIGNED if terms.demands_token else "")
            for early, why in refused:
                self.book.refuse(early, why, now, message=False)
            reset = self._knows(terms)
            known = replace(facts, arguments=terms.arguments, run=terms.run, after_reset=reset, policy=terms.policy)
            try:
                gate = enter(now, facts=known)
                self.book.settle_covered(gate, now)  # one may have come while the terms were read
            except ValueError as error:
                raise non_retryable(ErrorKind.INPUT_INVALID, f"gate for {action.description!r}: {error}") from error
            for record in self.book.records[seen:]:
                self._notice(record)
            return gate

    async def _covered(
        self, action: ProposedAction, policy: GatePolicy, askers: tuple[str, ...]
    ) -> GateDecision | None:
        """Return the decision on a call that an approval covers which stands for the run; None: people must be asked."""
        if not self.book.standing.concerns(action):
            return None
        terms = await self._authentication.learn(action)
        async with self._authentication.turn:
            self._knows(terms)
            now = self.book.no_earlier(workflow.now())
            denied = denied_before(self.denials(), action)
            given = None if denied else self.book.cover(action, policy.within(terms.policy), askers, now)
            self.publish()
        return covered_by(given, action, workflow.info().workflow_id, terms.run) if given is not None else None

    def _knows(self, terms: GateTerms) -> bool:
        """Take note of the terms; returns whether this run was reset, after which no approval from before counts."""
        self.book.signed = terms.demands_token
        if reset := after_reset(terms):
            self._trace.notice(RESET)
            self.book.standing.end_before(terms.run)
        return reset

    def _taken(self, record: GateRecord) -> None:
        self._notice(record)
        self.publish()

    async def _settle(self, name: str) -> None:
        """Wait for people, and wake for each reminder, the escalation and the deadline."""
        with self.waits:
            await self._wait(name)

    async def _wait(self, name: str) -> None:
        self.book.tick(workflow.now())
        self.publish()
        while (gate := self.book.gates[name]).pending:
            try:
                await workflow.wait_condition(
                    lambda: not self.book.gates[name].pending,
                    timeout=next_due(gate) - workflow.now(),
                    timeout_summary=timer_text(gate),
                )
            except TimeoutError:
                self.book.tick(workflow.now())
                self.publish()

    def _view(self, gate: GateState) -> GateView:
        return self._views.of(gate, self._authentication.terms)

    def _notice(self, record: GateRecord) -> None:
        """Show a message that changed nothing."""
        if record.kind in NOISE:
            self._trace.notice(noise_text(record))

    def publish(self) -> None:
        """Show what waits, write new records into history, and tell people."""
        waiting = [self._view(gate) for gate in self.book.waiting]
        self._trace.waits_at(waiting, tuple(self.book.standing.approvals.values()))
        self.news += 1
        # A run that never opens a gate keeps the history it always had, whatever people send to it.
        if not (self.book.gates or self.allowed or self.book.standing.known):
            return
        notify = self.notify or self.notifier.by_channels(self._authentication.terms.channels)
        for record in self._published.update(self.book, waiting, indexed=self.indexed):
            gate = self.book.gates.get(record.gate)
            count_gate(self._trace.pattern, record, gate)
            if gate is not None:
                tell(self, news_of(record, gate, self._view(gate)), notify, self.choices.get(gate.name, ()))
