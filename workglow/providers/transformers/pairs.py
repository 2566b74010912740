"""Models that read one text and write another: T5 and its kin, Marian, NLLB and M2M100, mBART, BART, Pegasus."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from workglow.errors import ModelCallError
from workglow.providers.encoders.languages import english_name, own_code
from workglow.providers.transformers.conversation import text_inputs

if TYPE_CHECKING:
    from workglow.providers.transformers.loading import LoadedModel

__all__ = ["summary_text", "translation_inputs"]

_CODE: Final = re.compile(
    r"_*[a-z]{2,3}([-_][A-Za-z]{2,4})?_*"
)  # 'fr_XX' of mBART, 'fra_Latn' of NLLB, '__fr__' of M2M100


def summary_text(loaded: LoadedModel, text: str) -> str:
    """Return the text with what the model was taught to see before one that it shall summarise."""
    prefix = _own_prefix(loaded, "summarization")
    if prefix is None:
        prefix = "summarize: " if _takes_instructions(loaded) else ""
    return prefix + text


def translation_inputs(
    loaded: LoadedModel, text: str, source: str, target: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the tokens of a text to translate, and what its translation must begin with.

    ModelCallError when the model does not know a language.
    """
    if _takes_instructions(loaded):
        return text_inputs(loaded, _instruction(loaded, source, target) + text), {}
    tokenizer = loaded.prepare
    if loaded.folder.model_type == "marian":
        groups = [str(code) for code in getattr(tokenizer, "supported_language_codes", ())]
        return text_inputs(loaded, f"{_code(loaded, target, groups)} {text}" if groups else text), {}
    codes = [str(token) for token in tokenizer.all_special_tokens if _CODE.fullmatch(str(token))]
    if not codes:
        return text_inputs(loaded, text), {}
    spoken, wanted = _code(loaded, source, codes), _code(loaded, target, codes)
    with loaded.lock:  # the language is a state of the tokenizer
        tokenizer.src_lang = spoken.strip("_")
        return text_inputs(loaded, text), {"forced_bos_token_id": tokenizer.convert_tokens_to_ids(wanted)}


def _takes_instructions(loaded: LoadedModel) -> bool:
    return "t5" in loaded.folder.model_type


def _instruction(loaded: LoadedModel, source: str, target: str) -> str:
    own = _own_prefix(loaded, f"translation_{source}_to_{target}")
    return own or f"translate {english_name(source)} to {english_name(target)}: "


def _own_prefix(loaded: LoadedModel, task: str) -> str | None:
    """What the model's files say is written before a text for that."""
    tasks: dict[str, dict[str, str]] = loaded.folder.config.get("task_specific_params") or {}
    return tasks.get(task, {}).get("prefix")


def _code(loaded: LoadedModel, language: str, codes: list[str]) -> str:
    found = own_code(language, codes)
    if found is None:
        raise ModelCallError(f"{loaded.name!r} does not know the language {language!r}; it knows {', '.join(codes)}.")
    return found
