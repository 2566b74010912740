"""What a model's record may say to llama.cpp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from workglow.errors import InvalidModelError

if TYPE_CHECKING:
    from workglow.ai.record import ModelRecord

__all__ = ["LlamaOptions", "options_of"]


class LlamaOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`options` of a record.  None leaves it to llama.cpp, or to the machine.

    `threads` write and `batch_threads` read prompts, `batch_size` tokens of them at a time.  `gpu_layers` is how many
    layers go to the GPU, -1 all.  `cache_type` is the precision in which is kept what was read.  `mmap` and `mlock` say
    how the file comes into memory.  `seed` is that of calls that give none.  `chat_template` takes the place of the
    file's, in Jinja.  The rest says how a token is chosen when the call does not.
    """

    threads: int | None = None
    batch_threads: int | None = None
    batch_size: int = 512
    gpu_layers: int = -1
    flash_attention: bool | None = None
    cache_type: Literal["f32", "f16", "q8_0", "q4_0"] = "f16"
    mmap: bool = True
    mlock: bool = False
    seed: int | None = None
    chat_template: str = ""
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0


def options_of(record: ModelRecord) -> LlamaOptions:
    """Read the options of a record; InvalidModelError names the one that is wrong."""
    try:
        options = msgspec.convert(record.options, LlamaOptions)
    except msgspec.ValidationError as error:
        known = ", ".join(LlamaOptions.__struct_fields__)
        raise InvalidModelError(
            f"The options of the model {record.name!r}: {error}.  llama.cpp is told {known}."
        ) from None
    for name in ("threads", "batch_threads", "batch_size"):
        number = getattr(options, name)
        if number is not None and number < 1:
            raise InvalidModelError(f"The options of the model {record.name!r}: {name} is less than 1.")
    if record.device == "cpu":
        return msgspec.structs.replace(options, gpu_layers=0)
    return options
