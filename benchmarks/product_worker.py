"""The product's worker with a scripted model: `python -m benchmarks.product_worker --log FILE`.

Its environment is that of `worker.py`. Everything but the model is the product's own: settings, converter, worker,
activities, content store.
"""

import argparse
import asyncio
from pathlib import Path

from benchmarks.graphs import CallLog, Work, prepare_text, text_of
from outlast.client import connect, load_settings
from outlast.contracts import StopReason, Usage
from outlast.llm.base import ModelCall, ModelReply
from outlast.llm.scripted import ScriptedLLM
from worker import working


def scripted(log: CallLog) -> ScriptedLLM:
    """Build the model that does what the prompts ask for."""

    async def answer(call: ModelCall) -> ModelReply:
        work = Work.read(call.messages[0][1])
        log.write("start", work.step)
        # The twin keeps every call for tests; here that would hold every prompt of the run in memory.
        llm.calls.clear()
        await asyncio.sleep(work.latency)
        text = text_of(work.size)
        log.write("end", work.step)
        usage = Usage(input_tokens=len(call.messages[0][1]) // 4, output_tokens=len(text) // 4)
        return ModelReply(text, StopReason.END_TURN, usage, call.model)

    llm = ScriptedLLM(answer)
    return llm


async def serve(arguments: argparse.Namespace) -> None:
    """Work until the process is ended."""
    prepare_text()
    settings = load_settings()
    client = await connect(settings)
    async with working(client, settings, scripted(CallLog(arguments.log))):
        print("worker ready", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", type=Path, required=True)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
