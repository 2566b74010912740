"""OpenAI, and whatever speaks its protocol."""

from workglow.providers.openai.provider import OpenAIProvider

__all__ = ["OpenAIProvider"]
