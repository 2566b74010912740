"""What the files of a model in Hugging Face's layout say about it, without loading it."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, cast

from workglow.errors import ModelError, UnknownModelError

__all__ = ["ModelFolder", "looks_like_a_path", "read_folder"]

_NO_LIMIT: Final = 1_000_000  # tokenizers that know no limit say 10**30
_POSITIONS_FROM_PADDING: Final = {
    "roberta",
    "xlm-roberta",
    "camembert",
    "mpnet",
    "xlm-roberta-xl",
    "roberta-prelayernorm",
}
"""Their positions begin behind that of the padding, so two of them are never a token's."""


class ModelFolder:
    """A folder with `config.json` and, mostly, a tokenizer and what sentence-transformers adds."""

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path = path
        self.config = config
        self.tokenizer_config = self._json("tokenizer_config.json")
        self._sentences = self._json("sentence_bert_config.json")
        self._prompts: dict[str, Any] = self._json("config_sentence_transformers.json").get("prompts") or {}
        self._pooling = self._json("1_Pooling/config.json")
        self.is_sentence_model = (path / "modules.json").is_file()

    @property
    def model_type(self) -> str:
        """The family, such as 'bert'."""
        return str(self.config.get("model_type", ""))

    @property
    def architecture(self) -> str:
        """The class that was saved, such as 'BertForSequenceClassification'; empty when the config does not say."""
        return str((self.config.get("architectures") or [""])[0])

    @property
    def labels(self) -> list[str]:
        """The names of its classes, in the order of its numbers."""
        named = self.config.get("id2label")
        if not isinstance(named, dict):
            return [f"LABEL_{number}" for number in range(int(self.config.get("num_labels", 2)))]
        pairs = cast("dict[str, Any]", named)
        return [str(pairs[key]) for key in sorted(pairs, key=int)]

    @property
    def has_chat_template(self) -> bool:
        """Whether it knows how a conversation is written."""
        return bool(self.tokenizer_config.get("chat_template")) or (self.path / "chat_template.jinja").is_file()

    @property
    def max_tokens(self) -> int | None:
        """How many tokens it reads at once; None when no file says."""
        text: dict[str, Any] = self.config.get("text_config") or self.config
        limits = [
            self._sentences.get("max_seq_length"),
            self.tokenizer_config.get("model_max_length"),
            self._positions(text),
        ]
        known = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < _NO_LIMIT]
        return min(known, default=None)

    @property
    def dimensions(self) -> int | None:
        """How many numbers its vectors have."""
        for name in ("projection_dim", "hidden_size", "d_model", "n_embd", "dim"):
            if isinstance(self.config.get(name), int):
                return self.config[name]
        return None

    @property
    def pooling(self) -> str | None:
        """How sentence-transformers makes a text's vector of those of its tokens; None when it does not say."""
        named = {
            "pooling_mode_cls_token": "cls",
            "pooling_mode_lasttoken": "last_token",
            "pooling_mode_mean_tokens": "mean",
        }
        return next((ours for theirs, ours in named.items() if self._pooling.get(theirs)), None)

    def prompt(self, *names: str) -> str:
        """Return what is written before a text of that sort, under the first of these names that is known."""
        return next((str(self._prompts[name]) for name in names if self._prompts.get(name)), "")

    def file_sizes(self) -> dict[str, int]:
        """Bytes of each file, by its name."""
        files = (file for file in self.path.rglob("*") if file.is_file() and not file.name.startswith("."))
        return {str(file.relative_to(self.path)): file.stat().st_size for file in sorted(files)}

    def _positions(self, config: dict[str, Any]) -> int | None:
        found = next((config[name] for name in ("max_position_embeddings", "n_positions") if config.get(name)), None)
        if isinstance(found, int) and self.model_type in _POSITIONS_FROM_PADDING:
            return found - 2
        return found

    def _json(self, name: str) -> dict[str, Any]:
        file = self.path / name
        return _read(file) if file.is_file() else {}


def looks_like_a_path(source: str) -> bool:
    """Whether a model's source is a folder of this machine rather than a repository's name."""
    return source.startswith(("/", "./", "../", "~")) or source in (".", "..") or Path(source).is_dir()


def read_folder(path: Path) -> ModelFolder:
    """Read what a folder says; it is read again when its config.json was changed.

    UnknownModelError when there is no model in it, ModelError when its files are not what they should be.
    """
    try:
        status = (path / "config.json").stat()
    except OSError:
        what = "has no config.json" if path.is_dir() else "is no folder"
        raise UnknownModelError(f"There is no model in {path}: it {what}.") from None
    return _folder(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _folder(path: Path, _changed: int, _size: int) -> ModelFolder:
    return ModelFolder(path, _read(path / "config.json"))


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"The model in {file.parent} cannot be read: {file.name}: {error}") from error
    if not isinstance(found, dict):
        raise ModelError(f"The model in {file.parent} cannot be read: {file.name} holds no object.")
    return cast("dict[str, Any]", found)
