"""The background work of an open file, for tests that do it by hand."""

from __future__ import annotations

from workglow.file import File
from workglow.file.upkeep import Upkeep

__all__ = ["upkeep_of"]


def upkeep_of(file: File) -> Upkeep:
    upkeep = file._upkeep
    assert upkeep is not None
    return upkeep
