"""The parser process: reads one piece of content after another from stdin, and answers on what was stdout.

It has no secrets in its environment, and ends with its worker, by a signal or by the end of stdin.
"""

import gc
import os
import signal
import sys
import time
from typing import Any, NoReturn

from temporalio.exceptions import ApplicationError

from outlast.documents.parsing import frames, limits
from outlast.documents.parsing.tasks import TASKS
from outlast.errors import ErrorKind, non_retryable, text_of

KEPT_BYTES = 128 * 1024 * 1024
"""A process that keeps more than this after its work is replaced by a new one."""


def main() -> NoReturn:
    """Work until stdin ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a worker that is asked to stop finishes its work first, this included
    answers = os.dup(1)
    # What a library prints must not get between the messages.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    start = limits.memory_in_use()
    limits.restrict_process(int(sys.argv[1]))
    last = False
    try:
        while not last:
            answer, body = _work(*frames.read(_take, sys.maxsize), answers)
            limits.restrict_computing(None)
            gc.collect()
            last = limits.memory_in_use() - len(body) > start + KEPT_BYTES
            _send(answers, {**answer, "last": last}, body)
            del body
    except MemoryError:
        os._exit(limits.MEMORY_EXIT)
    except (EOFError, OSError):
        pass
    os._exit(0)


def _work(header: dict[str, Any], data: bytes, answers: int) -> tuple[dict[str, Any], bytes]:
    """Run a task; gives the answer and its texts, one after another."""
    start = time.process_time()
    limits.restrict_computing(header["seconds"])

    def on_page(number: int) -> None:
        used = time.process_time() - start
        limits.restrict_computing(header["seconds"] + number * limits.SECONDS_PER_PAGE - used)
        _send(answers, {"page": number})

    try:
        result, texts = TASKS[header["task"]](data, header["arguments"], on_page)
        written = [text.encode() for text in texts]
        if sum(map(len, written)) > header["output"]:
            return {"stopped": limits.Limit.OUTPUT}, b""
        return {"result": result, "lengths": [len(text) for text in written]}, b"".join(written)
    except ApplicationError as error:
        return _failure(error), b""
    except MemoryError:
        raise
    except Exception as error:
        return _failure(non_retryable(ErrorKind.UNEXPECTED, f"{type(error).__name__}: {text_of(error)}")), b""


def _failure(error: ApplicationError) -> dict[str, Any]:
    return {"failed": error.type, "message": error.message, "final": error.non_retryable}


def _take(length: int) -> bytes:
    data = sys.stdin.buffer.read(length)
    if len(data) < length:
        raise EOFError
    return data


def _send(answers: int, header: dict[str, Any], body: bytes = b"") -> None:
    for piece in (frames.pack(header, body), body):
        view = memoryview(piece)
        while view:
            view = view[os.write(answers, view) :]


if __name__ == "__main__":
    main()
