"""Encoder models run by torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workglow.errors import ModelError
from workglow.providers.encoders.encoder import Batch, TextEncoder, pooled
from workglow.providers.transformers.runtime import memory_checked, torch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workglow.ai.record import ModelRecord
    from workglow.providers.encoders.folder import ModelFolder

__all__ = ["TorchEncoder", "library_tokenizer"]


class TorchEncoder(TextEncoder):
    """A model of transformers that reads a whole text."""

    def __init__(self, record: ModelRecord, folder: ModelFolder, model: Any, tokenizer: Any) -> None:
        limits = [limit for limit in (record.context_length, folder.max_tokens) if limit]
        super().__init__(
            record.name,
            library_tokenizer(record, tokenizer),
            max_tokens=min(limits, default=None),
            padding=int(tokenizer.pad_token_id or 0),
            labels=folder.labels,
            several_labels=folder.config.get("problem_type") == "multi_label_classification",
            mask_token=tokenizer.mask_token or "[MASK]",
        )
        self._model: Any = model
        self._takes_types = "token_type_ids" in tokenizer.model_input_names
        self._two_sided = hasattr(model, "get_text_features")

    def run(self, batch: Batch, *outputs: str) -> list[NDArray[np.float32]]:
        """Run the model."""
        with torch.inference_mode(), memory_checked(self.name):
            said = self._model(**self._inputs(batch))
            return [said[name].float().cpu().numpy() for name in outputs]

    def vectors(self, batch: Batch, pooling: str) -> NDArray[np.float32]:
        """Run the model, and make one vector of each text where the model is."""
        inputs = self._inputs(batch)
        with torch.inference_mode(), memory_checked(self.name):
            if self._two_sided:
                return features(self._model.get_text_features(**inputs)).float().cpu().numpy()
            hidden = self._model(**inputs).last_hidden_state.float()
            return pooled(hidden, inputs["attention_mask"], pooling).cpu().numpy()

    def close(self) -> None:
        """Give the memory back."""
        self._model = None

    def _inputs(self, batch: Batch) -> dict[str, Any]:
        given = {"input_ids": batch.ids, "attention_mask": batch.mask}
        if self._takes_types:
            given["token_type_ids"] = batch.types
        return {name: torch.from_numpy(array).to(self._model.device) for name, array in given.items()}


def features(said: Any) -> Any:
    """Return the vectors of a model that has one space for texts and images."""
    return said if isinstance(said, torch.Tensor) else said.pooler_output


def library_tokenizer(record: ModelRecord, tokenizer: Any) -> Any:
    """Return the tokenizer that tells where its tokens are in the text."""
    found = getattr(tokenizer, "backend_tokenizer", None)
    if found is None:
        raise ModelError(
            f"The tokenizer of {record.name!r} does not tell where its tokens are; save it as tokenizer.json."
        )
    return found
