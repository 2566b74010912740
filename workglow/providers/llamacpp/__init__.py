"""llama.cpp: models in GGUF files, on the CPU and on GPUs."""

from workglow.providers.llamacpp.provider import LlamaCppProvider

__all__ = ["LlamaCppProvider"]
