"""A Llama of 0.1 million random numbers in a GGUF file: loads in milliseconds, and writes nonsense in small letters."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

MARKS = ("<|pad|>", "<|bos|>", "<|eos|>", "<|user|>", "<|assistant|>", "<|system|>")
TEMPLATE = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}<|assistant|>"
WIDTH, LAYERS, HEADS, KEY_HEADS, INNER, CONTEXT = 64, 2, 4, 2, 128, 4096
_WRITABLE = b"abcdefghijklmnopqrstuvwxyz "
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_UNLIKELY = -20.0


def tiny_gguf(path: Path, *, template: str = TEMPLATE, ends: bool = False, seed: int = 0) -> Path:
    """Write the file.  One token is one byte; `ends` lets the model end its text now and then."""
    words = [*MARKS, *(_letter(byte) for byte in range(256))]
    facts: dict[str, Any] = {
        "general.architecture": "llama",
        "general.name": "tiny",
        "llama.context_length": CONTEXT,
        "llama.embedding_length": WIDTH,
        "llama.block_count": LAYERS,
        "llama.feed_forward_length": INNER,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KEY_HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": WIDTH // HEADS,
        "llama.vocab_size": len(words),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": words,
        "tokenizer.ggml.token_type": [3] * len(MARKS) + [1] * 256,
        "tokenizer.ggml.merges": ["Ġ Ġ"],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
    }
    if template:
        facts["tokenizer.chat_template"] = template
    return _written(path, facts, _tensors(len(words), np.random.default_rng(seed), ends=ends))


def tiny_encoder_gguf(path: Path, *, room: int = 64) -> Path:
    """Write a BERT of random numbers that has learned `room` places.  One token is one letter, between two marks."""
    random = np.random.default_rng(0)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"▁{letter}" for letter in _LETTERS), *_LETTERS]
    facts: dict[str, Any] = {
        "general.architecture": "bert",
        "bert.context_length": room,
        "bert.embedding_length": WIDTH,
        "bert.block_count": 1,
        "bert.feed_forward_length": INNER,
        "bert.attention.head_count": HEADS,
        "bert.attention.layer_norm_epsilon": 1e-5,
        "bert.attention.causal": False,
        "bert.pooling_type": 1,
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.tokens": words,
        "tokenizer.ggml.token_type": [3] * 4 + [1] * (len(words) - 4),
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.unknown_token_id": 1,
        "tokenizer.ggml.cls_token_id": 2,
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.seperator_token_id": 3,
    }
    shapes = {"token_embd": (len(words), WIDTH), "position_embd": (room, WIDTH), "token_types": (2, WIDTH)}
    shapes |= {f"blk.0.attn_{name}": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
    shapes |= {"blk.0.ffn_up": (INNER, WIDTH), "blk.0.ffn_down": (WIDTH, INNER)}
    tensors = {f"{name}.weight": random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    tensors |= {f"{name}.bias": np.zeros(shape[0], np.float32) for name, shape in shapes.items() if "blk" in name}
    for norm in ("token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm"):
        tensors |= {f"{norm}.weight": np.ones(WIDTH, np.float32), f"{norm}.bias": np.zeros(WIDTH, np.float32)}
    return _written(path, facts, tensors)


def _written(path: Path, facts: dict[str, Any], tensors: dict[str, np.ndarray]) -> Path:
    head = b"".join(_string(name) + _typed(value) for name, value in facts.items())
    places, body = b"", b""
    for name, tensor in tensors.items():
        shape = tensor.shape[::-1]
        places += _string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(body))
        body += tensor.tobytes() + bytes(-tensor.nbytes % 32)
    start = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(facts)) + head + places
    path.write_bytes(start + bytes(-len(start) % 32) + body)
    return path


def _tensors(words: int, random: np.random.Generator, *, ends: bool) -> dict[str, np.ndarray]:
    def some(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * 0.4).astype(np.float32)

    inner, keys = (WIDTH, WIDTH), (WIDTH // HEADS * KEY_HEADS, WIDTH)
    embeddings, output = some(words, WIDTH), some(words, WIDTH)
    embeddings[:, 0] = 3.0  # the first number stays large, so that a word's first weight decides whether it is likely
    output[:, 0] = _UNLIKELY
    output[[len(MARKS) + byte for byte in _WRITABLE], 0] = 0.0
    if ends:
        output[2, 0] = 0.0
    tensors = {
        "token_embd.weight": embeddings,
        "output_norm.weight": np.ones(WIDTH, np.float32),
        "output.weight": output,
    }
    for layer in range(LAYERS):
        shapes = {
            "attn_q": inner,
            "attn_k": keys,
            "attn_v": keys,
            "attn_output": inner,
            "ffn_gate": (INNER, WIDTH),
            "ffn_up": (INNER, WIDTH),
            "ffn_down": (WIDTH, INNER),
        }
        tensors |= {f"blk.{layer}.{name}.weight": some(*shape) / 4 for name, shape in shapes.items()}
        norms = ("attn_norm", "ffn_norm")
        tensors |= {f"blk.{layer}.{name}.weight": np.ones(WIDTH, np.float32) for name in norms}
    return tensors


def _letter(byte: int) -> str:
    """The printable sign that stands for a byte in GPT-2's vocabulary."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [other for other in range(256) if other not in plain]
    return chr(byte if byte in plain else 256 + others.index(byte))


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _typed(value: Any) -> bytes:
    if isinstance(value, list):
        kind = 8 if isinstance(value[0], str) else 5
        items = b"".join(_string(item) if kind == 8 else struct.pack("<i", item) for item in value)
        return struct.pack("<IIQ", 9, kind, len(value)) + items
    if isinstance(value, str):
        return struct.pack("<I", 8) + _string(value)
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    return struct.pack("<If", 6, value) if isinstance(value, float) else struct.pack("<II", 4, value)
