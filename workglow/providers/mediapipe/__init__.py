"""MediaPipe: small models of Google's for texts and images that run on any processor, from one file each."""

from __future__ import annotations

from workglow.providers.mediapipe.provider import MediaPipeProvider

__all__ = ["MediaPipeProvider"]
