"""How long each activity may take and how often it is tried: one function per activity.

Without these, Temporal retries forever and notices a dead worker only at the time-out. Every activity gets a
start-to-close and a schedule-to-close time-out and bounded attempts.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig, LocalActivityConfig

from outlast.contracts import AgentCard, Effect, ToolCard

RETRY_WAITS = 180.0
"""Seconds that all waits between the attempts of one call may add up to."""

OUTAGES = timedelta(hours=6)
"""How much longer a call may take with outages of the store and the provider. How long they are really waited out is a setting
of the worker, which counts the attempts that are a call's own failure (`outlast.activity.outages`)."""
TURN = 604_800
"""How many seconds longer a call may take that waits in the queue of its model's class, until the rate lets it begin."""
MOST_ATTEMPTS = 200
"""Attempts with outages; a call that kills its worker each time must end one day."""
LONGEST_PAUSE = timedelta(seconds=60)
"""Attempts wait 1 s, 2 s, 4 s … up to this, unless the worker sets another pause or says that the failure is not retryable."""
OF_CLASS = "-model-"
"""What stands between the name of a task queue and a class of models in the name of that class's queue."""
STORE_LOOK = 600
"""Seconds of one attempt to wait for the content store."""
LOCAL_RETRIES = timedelta(seconds=10)
"""Longest pause of a local activity within its workflow task; a longer one is a timer in history."""


def call_model(card: AgentCard, heartbeat: float, summary: str, *, wait_for_cost: bool = False) -> ActivityConfig:
    """Bound one model call by its agent's time-out; attempts wait 1 s, then 2 s, … or as long as the server asks.

    With `wait_for_cost`, cancelling waits until the call has reported what it cost. A model of a class has a queue of its own,
    where a call may wait long for its turn.
    """
    whole = card.timeout * card.attempts + RETRY_WAITS
    bounded = _outlasting(card.timeout, whole, heartbeat, summary, reports=wait_for_cost)
    if card.model_class:
        bounded["task_queue"] = class_queue(workflow.info().task_queue, card.model_class)
        bounded["schedule_to_close_timeout"] = timedelta(seconds=whole + TURN) + OUTAGES
    return bounded


def extract_text(heartbeat: float, summary: str) -> ActivityConfig:
    """Bound the reading of one file."""
    return _outlasting(300, 900, heartbeat, summary)


def local_call(summary: str) -> LocalActivityConfig:
    """Bound a local activity that only computes, or reads and writes what is content-addressed: repeating it changes nothing.

    Such activities are local because only a local activity's input stays out of history.
    """
    return LocalActivityConfig(
        start_to_close_timeout=timedelta(seconds=30),
        schedule_to_close_timeout=timedelta(seconds=90) + OUTAGES,
        retry_policy=RetryPolicy(maximum_attempts=MOST_ATTEMPTS, maximum_interval=LONGEST_PAUSE),
        local_retry_threshold=LOCAL_RETRIES,
        summary=summary,
    )


def await_store(heartbeat: float) -> ActivityConfig:
    """Bound the wait for a content store that a local activity did not reach."""
    return _outlasting(STORE_LOOK, STORE_LOOK, heartbeat, "wait for the content store")


def no_op() -> ActivityConfig:
    """Bound an activity that does nothing."""
    return _outlasting(10, TURN, 10, "continue as new")


def read_toolset(heartbeat: float, summary: str) -> ActivityConfig:
    """Bound the reading of an agent's tools, which may start servers."""
    return _outlasting(120, 300, heartbeat, summary)


def call_tool(card: ToolCard, heartbeat: float, summary: str) -> ActivityConfig:
    """Bound one tool call by the tool's own time-out and attempts.

    Cancelling waits until a tool that changes something has reported whether it did.
    """
    whole = card.timeout * card.attempts + RETRY_WAITS
    return _outlasting(card.timeout, whole, heartbeat, summary, reports=card.effect is not Effect.READ)


def read_delegate(heartbeat: float, summary: str) -> ActivityConfig:
    """Bound the look at the run of an agent that was asked, which may have to be waited for."""
    return _outlasting(TURN, TURN, heartbeat, summary)


def undo_call(timeout: float, heartbeat: float, summary: str) -> ActivityConfig:
    """Bound one undo by the time-out of the call that it undoes; worth more attempts than the call itself."""
    return _outlasting(timeout, timeout * 8 + RETRY_WAITS, heartbeat, summary)


def gate_terms() -> ActivityConfig:
    """Bound the reading of the terms by which a gate opens: memory alone, but a gate outlasts a day without workers."""
    return _short(10, "read the terms of gates")


def check_identity() -> ActivityConfig:
    """Bound the check of one token: what an update waits for is no local activity."""
    return _short(10, "check who decides")


def read_catalog() -> ActivityConfig:
    """Bound the reading of agents where an update waits for it."""
    return _short(60, "read the agents")


def _short(seconds: float, summary: str) -> ActivityConfig:
    return ActivityConfig(
        start_to_close_timeout=timedelta(seconds=seconds),
        schedule_to_close_timeout=timedelta(days=1),
        retry_policy=RetryPolicy(maximum_attempts=10),
        summary=summary,
    )


def check_identity_locally() -> LocalActivityConfig:
    """Bound the check of one token in a run that began before 0.3."""
    return LocalActivityConfig(
        start_to_close_timeout=timedelta(seconds=10),
        schedule_to_close_timeout=timedelta(seconds=30),
        retry_policy=RetryPolicy(maximum_attempts=3),
        summary="check who decides",
    )


def tell_people(summary: str) -> ActivityConfig:
    """Bound the notices of one channel: waits of 2, 6, 18, 54 and 120 s outlast the restart of a mail server."""
    return ActivityConfig(
        start_to_close_timeout=timedelta(seconds=60),
        schedule_to_close_timeout=timedelta(minutes=15),
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=2),
            backoff_coefficient=3.0,
            maximum_interval=timedelta(seconds=120),
            maximum_attempts=6,
        ),
        summary=summary,
    )


def deliver_webhook(summary: str) -> ActivityConfig:
    """Bound a webhook to one address: tried for a day, at last every ten minutes, so that it outlasts a receiver's bad night."""
    return ActivityConfig(
        start_to_close_timeout=timedelta(seconds=60),
        schedule_to_close_timeout=timedelta(days=1),
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=2),
            maximum_interval=timedelta(minutes=10),
            maximum_attempts=MOST_ATTEMPTS,
        ),
        summary=summary,
    )


def spaced_queue(task_queue: str) -> str:
    """Name the task queue of searches that a source wants spaced; the worker of that queue runs one at a time."""
    return f"{task_queue}-arxiv"


def class_queue(task_queue: str, model_class: str) -> str:
    """Name the task queue of the calls to a class of models, by the queue of the runs that make them."""
    return f"{task_queue}{OF_CLASS}{model_class}"


def class_in(queue: str, task_queue: str) -> str:
    """Return the class whose calls, of the runs of `task_queue`, a queue is for; "" for any other queue."""
    return queue.removeprefix(task_queue + OF_CLASS) if queue.startswith(task_queue + OF_CLASS) else ""


def search(heartbeat: float, timeout: float, summary: str, *, task_queue: str | None = None) -> ActivityConfig:
    """Bound the search of one source: its own time holds for all attempts and for waiting in the queue together.

    A little more is allowed here, so that the run's own timer ends it, which says what was late.
    """
    bound = timedelta(seconds=timeout + 5)
    return ActivityConfig(
        task_queue=task_queue,
        start_to_close_timeout=bound,
        schedule_to_close_timeout=bound,
        heartbeat_timeout=timedelta(seconds=heartbeat),
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=1),
            backoff_coefficient=2.0,
            maximum_interval=timedelta(seconds=30),
            maximum_attempts=3,
        ),
        summary=summary,
    )


def _outlasting(one: float, whole: float, heartbeat: float, summary: str, *, reports: bool = False) -> ActivityConfig:
    """Bound an activity by the seconds of one attempt and of all of them, outages apart.

    With `reports`, cancelling waits until the activity has ended and reported what it did.
    """
    kind = workflow.ActivityCancellationType
    return ActivityConfig(
        cancellation_type=kind.WAIT_CANCELLATION_COMPLETED if reports else kind.TRY_CANCEL,
        start_to_close_timeout=timedelta(seconds=one),
        schedule_to_close_timeout=timedelta(seconds=whole) + OUTAGES,
        heartbeat_timeout=timedelta(seconds=heartbeat),
        retry_policy=RetryPolicy(maximum_attempts=MOST_ATTEMPTS, maximum_interval=LONGEST_PAUSE),
        summary=summary,
    )
