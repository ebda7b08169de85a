"""What a run posts to Slack: its gates and questions, all in one thread, one message after the other, in the background.

Where the messages stand is what the activities answer: it is in history, and goes along where the run continues as new. So it
survives whatever dies, and a gate that is decided elsewhere, or whose time runs out, changes its own message.
"""

import asyncio

from temporalio import workflow

from outlast.contracts import SUMMARY_LENGTH, GateNews, GateOutcome, Question, RecordKind, SlackPost, SlackThread
from outlast.errors import ErrorKind, kind_of, text_of
from outlast.notices.notifying import NEWS, Notifier
from outlast.notices.slack.slack_activities import SlackActivities
from outlast.tracing.trace import RunTrace
from outlast.workflow import policies
from outlast.workflow.activity_calls import run_activity_anew
from outlast.workflow.failures import FAILURES

POSTED = (*NEWS, RecordKind.COUNTED, RecordKind.CANCELLED)
"""Kinds of records that change what Slack shows of a gate."""
REMINDERS = (RecordKind.REMINDED, RecordKind.ESCALATED)


class RunInSlack:
    """The Slack thread of one run; does nothing where the deployment has no Slack.

    Whether it has is a setting, which workflow code cannot read: it is known once a gate has opened or a question was asked.
    """

    def __init__(self, trace: RunTrace, notifier: Notifier) -> None:
        self._trace = trace
        self._notifier = notifier
        self._is_there = False
        self._away = 0.0  # when Slack was last given up, in workflow time
        self._turn = asyncio.Lock()
        self.stands = SlackThread()
        """Where its messages stand."""

    def known(self, has_slack: bool) -> None:
        """Take note of whether the deployment has Slack; what is shown there once goes on being shown."""
        self._is_there = self._is_there or has_slack

    def restore(self, stands: SlackThread) -> None:
        """Go on in the thread of the part before."""
        self.stands = stands
        self.known(bool(stands.thread))

    def gate(self, news: GateNews, options: tuple[str, ...] = ()) -> None:
        """Show what happened at a gate; `options` are the answers to choose from at one that is a choice."""
        if not self._is_there or news.kind not in POSTED:
            return
        post = self._post(gate=news, options=options)
        if news.kind in REMINDERS:
            # One that extends the deadline, or lets others decide, changes the message, too.
            self._begin(news.gate.name, post, f"{news.gate.name} is {news.kind}", over=False)
            post = post.model_copy(update={"reply": True})
        over = news.outcome is not GateOutcome.PENDING
        self._begin(news.gate.name, post, f"{news.gate.name} is {news.kind}", over=over)

    def question(self, question: Question, ended: str = "", *, is_reminder: bool = False) -> None:
        """Show a question, that it still waits, or how it ended."""
        if not self._is_there:
            return
        post = self._post(question=question, ended=ended[:SUMMARY_LENGTH], reply=is_reminder)
        what = "over" if ended else "reminded" if is_reminder else "asked"
        self._begin(question.id, post, f"{question.id} is {what}", over=bool(ended))

    def _post(self, **about: object) -> SlackPost:
        info = workflow.info()
        run = {"workflow_id": info.workflow_id, "workflow": info.workflow_type, "chain": info.first_execution_run_id}
        return SlackPost.model_validate(run | about)

    def _begin(self, name: str, post: SlackPost, what: str, *, over: bool) -> None:
        self._notifier.begin(self._show(name, post, what, workflow.time(), over=over), what)

    async def _show(self, name: str, post: SlackPost, what: str, began: float, *, over: bool) -> None:
        async with self._turn:  # the first message begins the thread, and a change needs to know what it changes
            if began < self._away:  # each would be tried for as long, and hold up the border of the run
                self._trace.notice(f"Slack does not show that {what}: it was away")
                return
            stands = self.stands
            if post.ended and name not in stands.messages:
                return
            where = {
                "channel": stands.channel,
                "thread": stands.thread,
                "message": stands.messages.get(name, ""),
            }
            try:
                posted = await run_activity_anew(
                    SlackActivities.post_to_slack,
                    post.model_copy(update=where),
                    **policies.tell_people(f"show in Slack that {what}"),
                )
            except FAILURES as error:
                self._trace.notice(f"Slack does not show that {what}: {text_of(error)}")
                if kind_of(error) is not ErrorKind.CHANNEL_UNKNOWN:
                    self._away = workflow.time()
                if over:
                    self._forget(name)
                return
            messages = {**stands.messages, **({} if post.reply else {name: posted.message})}
            self.stands = SlackThread(channel=posted.channel, thread=posted.thread, messages=messages)
            if over:
                self._forget(name)

    def _forget(self, name: str) -> None:
        messages = {each: ts for each, ts in self.stands.messages.items() if each != name}
        self.stands = self.stands.model_copy(update={"messages": messages})
