"""The baseline's worker process: `python -m benchmarks.bare.worker --address A --task-queue Q --log FILE [--api URL]`."""

import argparse
import asyncio
from pathlib import Path

from temporalio.client import Client
from temporalio.worker import Worker

from benchmarks.bare.steps import BareSteps
from benchmarks.bare.workflow import BareDag
from benchmarks.graphs import CallLog, prepare_text


async def serve(arguments: argparse.Namespace) -> None:
    """Work with the settings of the SDK until the process is ended."""
    prepare_text()
    model = None
    if arguments.api:
        from anthropic import AsyncAnthropic

        model = AsyncAnthropic(api_key="no-key-needed", base_url=arguments.api, max_retries=0)
    client = await Client.connect(arguments.address)
    steps = BareSteps(CallLog(arguments.log), model)
    worker = Worker(client, task_queue=arguments.task_queue, workflows=[BareDag], activities=[steps.answer])
    print("worker ready", flush=True)
    await worker.run()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--task-queue", required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--api")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
