"""What a model has read: the texts that it goes on with, and those that it turns into vectors."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from workglow.errors import ModelCallError
from workglow.providers.llamacpp.library import complaints, llama

if TYPE_CHECKING:
    from workglow.ai.provider import Vectors
    from workglow.providers.llamacpp.options import LlamaOptions
    from workglow.providers.llamacpp.weights import Weights

__all__ = ["POOLING", "Abort", "EmbeddingContext", "ReadingAbortedError", "TextContext"]

_SEQUENCES: Final = 64
"""Texts that are embedded at once."""

POOLING: Final = {
    "": llama.LLAMA_POOLING_TYPE_UNSPECIFIED,
    "mean": llama.LLAMA_POOLING_TYPE_MEAN,
    "cls": llama.LLAMA_POOLING_TYPE_CLS,
    "last": llama.LLAMA_POOLING_TYPE_LAST,
}


class ReadingAbortedError(Exception):
    """Somebody set the abort while the model was reading."""


class Abort:
    """Stops the model within a few layers, from any thread.

    llama.cpp asks a C function hundreds of times a token.  One of Python's would take the interpreter's lock each time,
    so it asks the C library's `strlen`, which of this text is 0 until somebody writes a letter into it.
    """

    def __init__(self) -> None:
        self._text = ctypes.create_string_buffer(2)
        self.function = ctypes.cast(ctypes.CDLL(None).strlen, llama.ggml_abort_callback)
        self.data = ctypes.cast(self._text, ctypes.c_void_p)

    def set(self) -> None:
        """Stop what is going on."""
        self._text[0] = b"!"

    def clear(self) -> None:
        """Let the next one work."""
        self._text[0] = b"\0"


class _Context:
    """Room in which weights work, for one thread at a time."""

    def __init__(self, weights: Weights, parameters: Any, options: LlamaOptions) -> None:
        cores = len(os.sched_getaffinity(0))
        # Writing waits for memory, not for cores; and threads that wait for each other suffer from whatever else runs.
        parameters.n_threads = options.threads or max(1, cores // 2)
        parameters.n_threads_batch = options.batch_threads or options.threads or cores
        parameters.flash_attn_type = {
            None: llama.LLAMA_FLASH_ATTN_TYPE_AUTO,
            True: llama.LLAMA_FLASH_ATTN_TYPE_ENABLED,
            False: llama.LLAMA_FLASH_ATTN_TYPE_DISABLED,
        }[options.flash_attention]
        parameters.type_k = parameters.type_v = getattr(llama, f"GGML_TYPE_{options.cache_type.upper()}")
        self.abort = Abort()
        parameters.abort_callback, parameters.abort_callback_data = self.abort.function, self.abort.data
        complaints()
        self.context: Any = llama.llama_init_from_model(weights.model, parameters)
        if not self.context:
            raise ModelCallError(
                f"There is no room to work with {weights.path} at {parameters.n_ctx} tokens: "
                f"{complaints() or 'llama.cpp says no more'}.  Give its record a smaller context_length."
            )
        self._free = weakref.finalize(self, _free, self.context, weights)
        self._free.atexit = False  # a thread may still be at work in it when the process ends
        self.memory: Any = llama.llama_get_memory(self.context)
        self.batch_size = int(llama.llama_n_batch(self.context))

    def read(self, batch: Any) -> None:
        """Have the model read tokens; ReadingAbortedError when it was stopped."""
        complaints()
        result = llama.llama_decode(self.context, batch)
        if result == 2:
            raise ReadingAbortedError
        if result:
            raise ModelCallError(f"llama.cpp failed to read: {complaints() or f'code {result}'}.")

    def close(self) -> None:
        """Give the memory back."""
        self._free()


def _free(context: Any, _weights: Weights) -> None:
    """The weights are held until here, for they have to outlive the context."""
    llama.llama_free(context)


class TextContext(_Context):
    """A text that grows.  What the next text has in common with it is not read again."""

    def __init__(self, weights: Weights, size: int, options: LlamaOptions) -> None:
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = size
        parameters.n_batch = parameters.n_ubatch = min(size, options.batch_size)
        parameters.swa_full = True  # without it a text with a sliding window cannot be gone back in
        super().__init__(weights, parameters, options)
        self.size = min(size, llama.llama_n_ctx(self.context))
        self._tokens: list[int] = []
        self._one = (llama.llama_token * 1)()
        self._batch_of_one = llama.llama_batch_get_one(self._one, 1)

    def keep_common(self, tokens: Sequence[int]) -> int:
        """Forget what differs from these tokens, and return how many of them are read already; never all of them."""
        common = sum(
            1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(self._tokens, tokens[:-1], strict=False))
        )
        if not llama.llama_memory_seq_rm(self.memory, 0, common, -1):
            common = 0  # such a memory cannot be gone back in
            llama.llama_memory_clear(self.memory, True)
        del self._tokens[common:]
        return common

    def read_all(self, tokens: Sequence[int]) -> Iterator[int]:
        """Read more tokens, and yield how many were read after each batch."""
        for start in range(0, len(tokens), self.batch_size):
            some = tokens[start : start + self.batch_size]
            buffer = (llama.llama_token * len(some))(*some)
            self._read(llama.llama_batch_get_one(buffer, len(some)), some)
            yield len(some)

    def read_one(self, token: int) -> None:
        """Read one more token."""
        self._one[0] = token
        self._read(self._batch_of_one, (token,))

    def _read(self, batch: Any, tokens: Sequence[int]) -> None:
        try:
            self.read(batch)
        except BaseException:
            self._tokens.clear()  # what of it was read is not known
            llama.llama_memory_clear(self.memory, True)
            raise
        self._tokens += tokens


class EmbeddingContext(_Context):
    """Turns texts into vectors, many at once."""

    def __init__(self, weights: Weights, size: int, pooling: str, options: LlamaOptions) -> None:
        parameters = llama.llama_context_default_params()
        sequences = parameters.n_seq_max = min(_SEQUENCES, int(llama.llama_max_parallel_sequences()))
        # A text has to be read in one go.  Room that its sequences do not divide makes llama.cpp end the process.
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = -(-size // sequences) * sequences
        parameters.kv_unified = parameters.embeddings = True
        declared = weights.number("pooling_type")
        parameters.pooling_type = POOLING[pooling or ("mean" if declared in (None, 0) else "")]
        super().__init__(weights, parameters, options)
        self.size = size
        self.dimensions = int(llama.llama_model_n_embd_out(weights.model))
        self._batch = llama.llama_batch_init(size, 0, 1)
        self._free_batch = weakref.finalize(self, llama.llama_batch_free, self._batch)
        self._sequences = sequences

    def embed(self, texts: Sequence[Sequence[int]]) -> Vectors:
        """Return float32 of shape (number of texts, dimensions); a text of no tokens has a row of zeros.

        No text has more than `size` tokens.
        """
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        group: list[int] = []
        room = self.size
        for at in sorted(range(len(texts)), key=lambda at: len(texts[at])):
            length = len(texts[at])
            if not length:
                continue
            if length > room or len(group) == self._sequences:
                self._embed(texts, group, vectors)
                group, room = [], self.size
            group.append(at)
            room -= length
        if group:
            self._embed(texts, group, vectors)
        return vectors

    def _embed(self, texts: Sequence[Sequence[int]], group: Sequence[int], vectors: Vectors) -> None:
        batch, count = self._batch, 0
        for sequence, at in enumerate(group):
            for position, token in enumerate(texts[at]):
                batch.token[count], batch.pos[count] = token, position
                batch.n_seq_id[count], batch.seq_id[count][0], batch.logits[count] = 1, sequence, 1
                count += 1
        batch.n_tokens = count
        if self.memory:
            llama.llama_memory_clear(self.memory, True)
        self.read(batch)
        for sequence, at in enumerate(group):
            vector = llama.llama_get_embeddings_seq(self.context, sequence)
            vectors[at] = np.ctypeslib.as_array(vector, (self.dimensions,))

    def close(self) -> None:
        self._free_batch()
        super().close()
