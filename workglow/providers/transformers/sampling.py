"""How the next token is chosen: the likeliest, or at random with a seed of the call's own.

transformers draws from torch's one generator, so that calls side by side would disturb each other.  Here noise from a
generator of the call is added to the scores (the Gumbel trick), and the likeliest of them is as if drawn.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workglow.providers.transformers.runtime import torch, transformers

if TYPE_CHECKING:
    from workglow.ai.request import GenerationRequest

__all__ = ["Choice", "chosen", "processors", "settings_of"]


@dataclass(frozen=True)
class Choice:
    """What a call says about how tokens are chosen; a temperature of 0 takes the likeliest."""

    temperature: float = 0.0
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    seed: int | None = None


def chosen(request: GenerationRequest, config: Any) -> Choice:
    """Put together what a request says and what the model's own settings are."""
    own = bool(config.do_sample)
    temperature = request.temperature
    if temperature is None:
        temperature = float(config.temperature or 1.0) if own else float(request.top_p is not None)
    return Choice(
        temperature,
        request.top_p if request.top_p is not None else config.top_p if own else None,
        config.top_k if own else None,
        request.frequency_penalty or 0.0,
        request.presence_penalty or 0.0,
        request.seed,
    )


def settings_of(config: Any, limit: int) -> Any:
    """Return a model's own settings, without those for choosing, which `processors` stand for."""
    settings = copy.deepcopy(config)
    settings.do_sample = False
    settings.temperature = settings.top_p = settings.top_k = settings.min_p = settings.typical_p = None
    settings.max_length = None
    settings.max_new_tokens = limit
    return settings


def processors(choice: Choice, prompt: int, device: Any) -> list[Any]:
    """Return what changes the scores before the highest is taken; `prompt` is how many tokens are not the model's."""
    found: list[Any] = []
    if choice.frequency_penalty or choice.presence_penalty:
        found.append(_Penalties(choice.frequency_penalty, choice.presence_penalty, prompt))
    if choice.temperature:
        found.append(transformers.TemperatureLogitsWarper(float(choice.temperature)))
        if choice.top_k:
            found.append(transformers.TopKLogitsWarper(choice.top_k))
        if choice.top_p is not None and choice.top_p < 1:
            found.append(transformers.TopPLogitsWarper(choice.top_p))
        found.append(_Noise(choice.seed, device))
    return found


class _Penalties:
    """Lowers the score of each token by how often it was written."""

    def __init__(self, frequency: float, presence: float, prompt: int) -> None:
        self._frequency, self._presence, self._prompt = frequency, presence, prompt

    def __call__(self, tokens: Any, scores: Any) -> Any:
        for row, written in enumerate(tokens[:, self._prompt :]):
            counts = torch.bincount(written, minlength=scores.shape[1])[: scores.shape[1]]
            scores[row] -= self._frequency * counts + self._presence * (counts > 0)
        return scores


class _Noise:
    def __init__(self, seed: int | None, device: Any) -> None:
        self._generator = torch.Generator(device=device)
        if seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(seed)

    def __call__(self, _: Any, scores: Any) -> Any:
        noise = torch.empty(scores.shape, dtype=torch.float32, device=scores.device)
        return scores.float() - noise.exponential_(generator=self._generator).log()
