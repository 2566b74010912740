"""Anthropic's models."""

from workglow.providers.anthropic.provider import AnthropicProvider

__all__ = ["AnthropicProvider"]
