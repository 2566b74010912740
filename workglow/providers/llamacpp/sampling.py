"""Choosing the next token.

The policy.  The choice at place n of an answer depends on the seed, on n and on what the model thinks, and on nothing
else: each place has a generator of random numbers of its own.  So an answer that was cut can be gone on with as if it
had not been.  Under a grammar the model first chooses freely; only when the grammar does not allow that is the choice
made among what it allows, which is slow because it looks at every token that there is.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from workglow.errors import ModelCallError
from workglow.providers.llamacpp.library import complaints, llama

__all__ = ["Sampler", "Sampling"]

_PENALISED: Final = 64
"""Tokens back that a penalty looks."""

_CANDIDATE: Final = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to choose.  A temperature of 0 takes the likeliest token."""

    seed: int
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0

    @property
    def penalises(self) -> bool:
        """Whether what was said before counts."""
        return self.repeat_penalty != 1.0 or bool(self.frequency_penalty or self.presence_penalty)


class Sampler:
    """Chooses the tokens of one answer, from place `len(written)` on; `grammar` is GBNF, or ''."""

    def __init__(self, vocabulary: Any, sampling: Sampling, grammar: str = "", written: Iterable[int] = ()) -> None:
        self._sampling = sampling
        self._place = 0
        self._chain: Any = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        self._grammar: Any = None
        if grammar:
            complaints()
            self._grammar = llama.llama_sampler_init_grammar(vocabulary, grammar.encode(), b"root")
            if not self._grammar:
                self.close()
                raise ModelCallError(f"llama.cpp cannot read the grammar of the answer: {complaints()}.")
        self._words = llama.llama_vocab_n_tokens(vocabulary)
        for sampler in self._samplers():
            llama.llama_sampler_chain_add(self._chain, sampler)
        self._length = llama.llama_sampler_chain_n(self._chain)
        for token in written:
            self._take(token)
            self._place += 1

    def _samplers(self) -> Iterable[Any]:
        how = self._sampling
        if how.penalises:
            penalties = (how.repeat_penalty, how.frequency_penalty, how.presence_penalty)
            yield llama.llama_sampler_init_penalties(self._words, _PENALISED, *penalties)
        if how.temperature == 0:
            yield llama.llama_sampler_init_greedy()
            return
        if how.top_k > 0:
            yield llama.llama_sampler_init_top_k(how.top_k)
        yield llama.llama_sampler_init_top_p(how.top_p, 1)
        yield llama.llama_sampler_init_min_p(how.min_p, 1)
        yield llama.llama_sampler_init_temp(how.temperature)

    def choose(self, context: Any) -> int:
        """Return the token that follows on what the context has read last."""
        if self._grammar is None:
            token = self._draw(lambda chain: llama.llama_sampler_sample(chain, context, -1))
        else:
            token = self._choose_allowed(context)
        self._place += 1
        return token

    def _draw(self, sample: Callable[[Any], int]) -> int:
        if self._sampling.temperature == 0:
            return sample(self._chain)
        dice = llama.llama_sampler_init_dist(_seed_at(self._sampling.seed, self._place))
        llama.llama_sampler_chain_add(self._chain, dice)
        try:
            return sample(self._chain)
        finally:
            llama.llama_sampler_free(llama.llama_sampler_chain_remove(self._chain, self._length))

    def _choose_allowed(self, context: Any) -> int:
        logits = np.ctypeslib.as_array(llama.llama_get_logits_ith(context, -1), (self._words,))
        token = self._draw(_Candidates(logits).chosen)
        alone = _Candidates(logits[token : token + 1], first=token)
        alone.narrow(self._grammar)
        if np.isneginf(alone.tokens["logit"][0]):
            allowed = _Candidates(logits)
            allowed.narrow(self._grammar)
            token = self._draw(allowed.chosen)
        self._take(token)
        return token

    def _take(self, token: int) -> None:
        llama.llama_sampler_accept(self._chain, token)
        if self._grammar is not None:
            llama.llama_sampler_accept(self._grammar, token)

    def close(self) -> None:
        """Give the memory back."""
        for sampler in (self._chain, self._grammar):
            if sampler:
                llama.llama_sampler_free(sampler)
        self._chain = self._grammar = None


class _Candidates:
    """Tokens with what the model thinks of them, as samplers take them."""

    def __init__(self, logits: Any, *, first: int = 0) -> None:
        self.tokens = np.zeros(len(logits), _CANDIDATE)
        self.tokens["id"] = np.arange(first, first + len(logits))
        self.tokens["logit"] = logits
        data: Any = ctypes.cast(self.tokens.ctypes.data, llama.llama_token_data_p)
        self._array = llama.llama_token_data_array(data, len(logits), -1, False)

    def narrow(self, sampler: Any) -> None:
        """Let a sampler change what is thought of them."""
        llama.llama_sampler_apply(sampler, ctypes.byref(self._array))

    def chosen(self, chain: Any) -> int:
        """Return the token that a chain of samplers takes."""
        self.narrow(chain)
        return self._array.data[self._array.selected].id


def _seed_at(seed: int, place: int) -> int:
    """A seed of 32 bits for one place: neighbours have nothing in common (the finaliser of SplitMix64)."""
    mixed = (seed + (place + 1) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return (mixed ^ mixed >> 31) & 0xFFFFFFFF
