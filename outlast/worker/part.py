"""What one worker has of ours: its activities, what stands around them, and the workers of its other task queues."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import reduce
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import (
    ActivityInboundInterceptor,
    FixedSizeSlotSupplier,
    Interceptor,
    Worker,
    WorkerConfig,
    WorkerDeploymentConfig,
    WorkerTuner,
)

from outlast.activity.attempts import Attempts
from outlast.activity.heartbeat import Keeper
from outlast.activity.outages import OutageWaits
from outlast.activity.queue_pauses import QueuePauses
from outlast.client import Settings, missing_attributes
from outlast.llm.base import LLM, ModelClass
from outlast.storage.garbage.users import noted_user
from outlast.tools.tool import Tool
from outlast.worker.admission import AdmittedByLag, Lag
from outlast.worker.arguments import activity_name, check_model_classes
from outlast.worker.crash_notes import CrashNotes, NotesCrashes, hand_back
from outlast.worker.registry import Feature, Registry, model_client
from outlast.worker.versioning import deployment_of
from outlast.workflow.policies import class_queue, spaced_queue

HEARTBEAT_THROTTLE = timedelta(seconds=0.5)
"""Longest time the SDK holds a heartbeat back. Its default is four fifths of the time-out: a busy machine that is late by the
remaining fifth would lose running calls, and pay them again."""

SLOTS = 100
"""Activities, local activities and workflow tasks at the same time where a worker sets none, as the SDK has it."""


class WorkerPart(Interceptor):
    """What one worker has of ours: its activities, what wraps them, and what runs beside the worker."""

    def __init__(
        self,
        settings: Settings,
        llm: LLM | None,
        tools: Sequence[Tool],
        activities: Sequence[Callable[..., Any]],
        features: Sequence[Feature],
        model_classes: Sequence[str] | None = None,
    ) -> None:
        self._settings = settings
        self._own_llm = model_client(settings) if llm is None else None
        answering = llm or self._own_llm
        assert answering is not None
        self.registry = Registry(settings, answering, tools=tools, activities=activities, features=features)
        check_model_classes(model_classes or (), self.registry.models.classes)
        self._classes = {
            name: limits
            for name, limits in self.registry.models.classes.items()
            if model_classes is None or name in model_classes
        }
        self.lag = Lag()
        self.running = False
        self.ready = asyncio.Event()
        self._names = {activity_name(each) for each in (*self.registry.activities, *self.registry.one_by_one)}
        self._around: tuple[Interceptor, ...] = ()

    @property
    def grace(self) -> timedelta:
        """How long running calls may finish when the worker stops."""
        return timedelta(seconds=self._settings.shutdown_grace)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Stand around each of our activities; those of others pass by."""
        if activity.info().activity_type not in self._names:
            return next
        return reduce(lambda inner, each: each.intercept_activity(inner), reversed(self._around), next)

    @asynccontextmanager
    async def beside(self, client: Client, task_queue: str, worker: Worker | None = None) -> AsyncIterator[None]:
        """Run what belongs beside the worker of a task queue.

        That is crash notes, late heartbeats, the measured lag, the worker of the spaced queue, and those of the classes of
        models; without a worker, these alone. All of them stop together, so that SHUTDOWN_GRACE counts once.
        """
        self.running = True
        self.registry.gate_terms.set_indexed(await missing_attributes(client) == [])
        notes = CrashNotes.open(self._settings.state_dir, client.namespace)
        pauses = self.registry.pauses
        self._around = (Attempts(), NotesCrashes(notes), OutageWaits(self.registry.waits))
        try:
            await hand_back(self._settings.state_dir, client)
            async with AsyncExitStack() as running:
                await running.enter_async_context(noted_user(client, self.registry.store.objects))
                running.enter_context(Keeper.of_this_process())
                await running.enter_async_context(self.lag.measured())
                pauses.queues = {name: class_queue(task_queue, name) for name in self._classes}
                pauses.shared = QueuePauses(client)
                await running.enter_async_context(pauses.shared.watched(pauses.queues.values()))
                build = worker.config(active_config=True).get("deployment_config") if worker else None
                build = build or deployment_of(self._settings)
                others = [
                    self._of_class(client, queue, self._classes[name], build) for name, queue in pauses.queues.items()
                ]
                if self.registry.one_by_one and worker is not None:
                    others.append(self._one_by_one(client, task_queue, build))
                for each in others:
                    await running.enter_async_context(each)
                await running.enter_async_context(_ending_with(worker, others))
                self.ready.set()
                if self._own_llm is not None:
                    self._own_llm.prepare()
                yield
        finally:
            notes.close()
            await self.registry.aclose()
            if self._own_llm is not None:
                await self._own_llm.aclose()

    def _of_class(self, client: Client, queue: str, limits: ModelClass, build: WorkerDeploymentConfig | None) -> Worker:
        return Worker(
            client,
            task_queue=queue,
            activities=[self.registry.call_model],
            tuner=tuner(self.lag, limits.concurrent),
            max_task_queue_activities_per_second=limits.per_second,
            max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
            interceptors=[self],
            graceful_shutdown_timeout=self.grace,
            deployment_config=build,
        )

    def _one_by_one(self, client: Client, task_queue: str, build: WorkerDeploymentConfig | None) -> Worker:
        return Worker(
            client,
            task_queue=spaced_queue(task_queue),
            activities=self.registry.one_by_one,
            max_concurrent_activities=1,
            max_concurrent_activity_task_polls=1,
            interceptors=[self],
            graceful_shutdown_timeout=self.grace,
            deployment_config=build,
        )


@asynccontextmanager
async def _ending_with(worker: Worker | None, others: Sequence[Worker]) -> AsyncIterator[None]:
    """Let the others drain as soon as the worker is asked to, which tells nobody; and all of them at the end of the block."""

    async def drain() -> None:
        await asyncio.gather(*(each.shutdown() for each in others))

    async def drain_with(asked: Worker) -> None:
        await asked._shutdown_event.wait()
        await drain()

    watching = asyncio.create_task(drain_with(worker)) if worker is not None else None
    try:
        yield
        await drain()
    finally:
        if watching is not None:
            watching.cancel()


def part_of(config: WorkerConfig) -> WorkerPart | None:
    """Return what a worker has of ours, None for one without the plugin."""
    return next((each for each in config.get("interceptors") or () if isinstance(each, WorkerPart)), None)


def tuner(lag: Lag, activities: int, workflows: int = SLOTS, local: int = SLOTS, nexus: int = SLOTS) -> WorkerTuner:
    """Build what gives out slots: activities by the measured lag, everything else by number."""
    return WorkerTuner.create_composite(
        workflow_supplier=FixedSizeSlotSupplier(workflows),
        activity_supplier=AdmittedByLag(activities, lag),
        local_activity_supplier=FixedSizeSlotSupplier(local),
        nexus_supplier=FixedSizeSlotSupplier(nexus),
    )
