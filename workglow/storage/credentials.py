"""Sealed secrets as they are stored, and what a place that keeps them must be able to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CredentialRepository", "KeyRecord", "SealedCredential"]


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """How the key is made of the passphrase, and what shows that it is the right one."""

    salt: bytes
    cost: int
    nonce: bytes
    proof: bytes


@dataclass(frozen=True, slots=True)
class SealedCredential:
    """One secret; times are milliseconds."""

    name: str
    label: str
    nonce: bytes
    sealed: bytes
    created_at: int = 0
    updated_at: int = 0


class CredentialRepository(Protocol):
    """Keeps what it cannot read."""

    def key(self) -> KeyRecord | None:
        """Return how the key is made; None before the first secret."""
        ...

    def begin(self, key: KeyRecord) -> KeyRecord:
        """Keep this key unless there is one; return the one that is kept."""
        ...

    def put(self, credential: SealedCredential, salt: bytes) -> bool:
        """Keep a secret in place of the one of that name; False when the key with this salt is not the key any more."""
        ...

    def get(self, name: str) -> SealedCredential | None:
        """Return a secret; None when there is none of that name."""
        ...

    def all(self) -> list[SealedCredential]:
        """Return every secret, by name."""
        ...

    def remove(self, name: str) -> bool:
        """Forget a secret; False when there is none of that name."""
        ...

    def replace(self, key: KeyRecord, credentials: Sequence[SealedCredential], salt: bytes) -> bool:
        """Seal all anew, in one transaction; False when what is there is not what was read under this salt."""
        ...
