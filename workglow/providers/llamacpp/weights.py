"""The weights of a GGUF file, its words and what it says of itself."""

from __future__ import annotations

import ctypes
import weakref
from functools import cached_property
from pathlib import Path
from typing import Any

from workglow.errors import ModelCallError
from workglow.providers.llamacpp.library import complaints, llama

__all__ = ["Weights"]


class Weights:
    """A GGUF file in memory.  With `words_only` it is only its tokenizer and metadata.  Threads may share it."""

    def __init__(
        self, path: Path, *, words_only: bool = False, gpu_layers: int = -1, mmap: bool = True, mlock: bool = False
    ) -> None:
        parameters = llama.llama_model_default_params()
        parameters.vocab_only = words_only
        parameters.n_gpu_layers = 0x7FFFFFFF if gpu_layers < 0 else gpu_layers
        parameters.load_mode = {
            (False, False): llama.LLAMA_LOAD_MODE_NONE,
            (True, False): llama.LLAMA_LOAD_MODE_MMAP,
            (False, True): llama.LLAMA_LOAD_MODE_MLOCK,
            (True, True): llama.LLAMA_LOAD_MODE_MMAP_MLOCK,
        }[mmap, mlock]
        complaints()
        self.path = path
        self.model: Any = llama.llama_model_load_from_file(str(path).encode(), parameters)
        if not self.model:
            said = complaints() or "llama.cpp says no more"
            raise ModelCallError(f"{path} cannot be loaded as a GGUF model: {said}.")
        self._free = weakref.finalize(self, llama.llama_model_free, self.model)
        self._free.atexit = False  # a thread may still be at work in it when the process ends
        self._vocabulary: Any = llama.llama_model_get_vocab(self.model)
        self._piece = ctypes.create_string_buffer(256)

    @property
    def vocabulary(self) -> Any:
        """What functions of llama.cpp take to speak of tokens."""
        return self._vocabulary

    def metadata(self, key: str) -> str:
        """Return a value of the file's header as text; '' when it has none, or a list."""
        size = 256
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = llama.llama_model_meta_val_str(self.model, key.encode(), buffer, size)
            if length < size:
                return "" if length < 0 else buffer.value.decode(errors="replace")
            size = length + 1

    def number(self, key: str) -> int | None:
        """Return a whole number of the header that the model's architecture prefixes, such as 'context_length'."""
        text = self.metadata(f"{self.metadata('general.architecture')}.{key}")
        return int(text) if text.isdecimal() else None

    @property
    def turns_places(self) -> bool:
        """Whether it tells places of tokens by turning numbers, for which a place that it never saw is no obstacle.

        One with a table of places makes llama.cpp end the process at the first that is not in it.
        """
        if self.metadata("general.architecture") == "bert":
            return False  # llama.cpp says of it what is true of its kin
        return llama.llama_model_rope_type(self.model) != llama.LLAMA_ROPE_TYPE_NONE

    def tokens(self, text: str, *, begins: bool = False, marks: bool = False) -> list[int]:
        """Cut a text into tokens.  `begins`: what the model wants before a text comes first; `marks`: it may hold marks
        such as '<|im_end|>', which are otherwise read as what they look like."""
        data = text.encode(errors="replace")
        room = len(data) + 16
        while True:
            buffer = (llama.llama_token * room)()
            count = llama.llama_tokenize(self._vocabulary, data, len(data), buffer, room, begins, marks)
            if count >= 0:
                return buffer[:count]
            room = -count

    def piece(self, token: int, *, marks: bool = False) -> bytes:
        """Return what a token adds to the text; without `marks`, one such as '<|im_end|>' adds nothing.

        Not for several threads at once.
        """
        buffer = self._piece
        length = llama.llama_token_to_piece(self._vocabulary, token, buffer, len(buffer), 0, marks)
        if length < 0:
            self._piece = ctypes.create_string_buffer(-length)
            return self.piece(token, marks=marks)
        return buffer.raw[:length]

    def is_end(self, token: int) -> bool:
        """Whether the model ends its text with this token."""
        return llama.llama_vocab_is_eog(self._vocabulary, token)

    def mark(self, name: str) -> str:
        """Return the text of the token that is 'bos' or 'eos' to the model; '' when it has none."""
        token = getattr(llama, f"llama_vocab_{name}")(self._vocabulary)
        return "" if token < 0 else llama.llama_vocab_get_text(self._vocabulary, token).decode(errors="replace")

    @cached_property
    def template(self) -> str:
        """How the file says that a conversation is written; '' when it does not."""
        return self.metadata("tokenizer.chat_template")

    def close(self) -> None:
        """Give the memory back."""
        self._free()
