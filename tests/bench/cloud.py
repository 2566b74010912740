"""W16: calls of a model that runs elsewhere, 50 at a time, against the bare client; the service answers at once."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from measure import Row, compare

__all__ = ["rows"]

CALLS = 200
AT_ONCE = 50
PIECES = 20
MANY = 10_000


def _body() -> bytes:
    def piece(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}  # fmt: skip

    usage = {"prompt_tokens": 10, "completion_tokens": PIECES, "total_tokens": 10 + PIECES}
    chunks = [piece({"content": "word "}) for _ in range(PIECES)]
    chunks += [piece({}, "stop"), {**piece({}), "choices": [], "usage": usage}]
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


async def at_once(call: Callable[[], Coroutine[Any, Any, object]], count: int) -> None:
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            await call()

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


def rows(peers: bool) -> Iterator[Row]:
    import httpx2
    import openai

    from workglow import MapTask, TaskGraph
    from workglow.ai import GenerationRequest, Models, ProviderRegistry, provider_registry
    from workglow.ai.generation import TextGenerationTask
    from workglow.ai.messages import as_messages
    from workglow.providers.openai import OpenAIProvider

    body = _body()

    def client() -> openai.AsyncOpenAI:
        transport = httpx2.MockTransport(
            lambda _: httpx2.Response(200, content=body, headers={"content-type": "text/event-stream"})
        )
        http = httpx2.AsyncClient(transport=transport)
        return openai.AsyncOpenAI(api_key="k", base_url="http://x/v1", max_retries=0, http_client=http)

    class Mocked(OpenAIProvider):
        name = "mocked"

        def connect(self, address: str, secret: object) -> openai.AsyncOpenAI:
            return client()

    record = {"name": "mocked:m", "provider": "mocked", "source": "m", "base_url": "http://x/v1"}
    bare = client()

    async def bare_call() -> None:
        stream = await bare.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    registry = ProviderRegistry()
    registry.register(Mocked)
    model = Models(registry).model(record)
    ask, graph = TaskGraph(), TaskGraph()
    ask.add_task(TextGenerationTask(id="ask", defaults={"model": record}))
    graph.add_task(MapTask(ask, id="each", max_iterations="unbounded", concurrency=AT_ONCE, iterate=("prompt",)))

    async def model_call() -> None:
        async for _ in model.stream("chat", GenerationRequest(as_messages("?"))):
            pass

    loop = asyncio.new_event_loop()
    provider_registry.register(Mocked)

    def timed(call: Callable[[], Coroutine[Any, Any, object]]) -> Callable[[], object]:
        return lambda: loop.run_until_complete(at_once(call, CALLS))

    def mapped(count: int = CALLS) -> Callable[[], object]:
        return lambda: loop.run_until_complete(graph.run({"prompt": ["?"] * count}))

    for case, ours in (("calls of a model", timed(model_call)), ("a map over a task", mapped())):
        yield compare(
            "W16", case, ours, "bare client", timed(bare_call), target=1.3, each=CALLS, unit="µs/call", rounds=5
        )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(MANY // 1000):
        mapped(1000)()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield Row("W16", "memory after 10,000 calls", after / 1024, "MB", "before", before / 1024, 1.05)
    provider_registry.unregister("mocked")
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
