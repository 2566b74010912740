"""Sealing texts under a passphrase: scrypt (RFC 7914) makes the key, AES-256-GCM seals and authenticates."""

from __future__ import annotations

import secrets
from typing import Final

from workglow.errors import CredentialError, MissingExtraError
from workglow.storage.credentials import KeyRecord, SealedCredential

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"Secrets in a project file need {error.name}: pip install 'workglow[credentials]'."
    ) from error

__all__ = ["COST", "SealingKey"]

COST: Final = 17
"""Of scrypt: N = 2^17 and r = 8 take 128 MB and a third of a second, which is what OWASP recommends."""

_PROOF: Final = b"workglow key"


class SealingKey:
    """A key that was made of a passphrase.  It shows nowhere."""

    def __init__(self, passphrase: str, salt: bytes, cost: int) -> None:
        self.salt = salt
        self.cost = cost
        made = Scrypt(salt=salt, length=32, n=1 << cost, r=8, p=1).derive(passphrase.encode("utf-8", "surrogatepass"))
        self._cipher = AESGCM(made)

    @classmethod
    def new(cls, passphrase: str, cost: int = COST) -> SealingKey:
        """Make a key with a salt of its own."""
        return cls(passphrase, secrets.token_bytes(16), cost)

    @classmethod
    def opened(cls, passphrase: str, record: KeyRecord) -> SealingKey:
        """Make the key of a file; CredentialError when the passphrase is not the one that it was made with."""
        key = cls(passphrase, record.salt, record.cost)
        try:
            key._cipher.decrypt(record.nonce, record.proof, _PROOF)
        except InvalidTag:
            raise CredentialError("The passphrase is not the one under which the secrets of this file are.") from None
        return key

    def record(self) -> KeyRecord:
        """What the file keeps of it."""
        nonce = secrets.token_bytes(12)
        return KeyRecord(self.salt, self.cost, nonce, self._cipher.encrypt(nonce, b"", _PROOF))

    def seal(self, name: str, label: str, text: str) -> SealedCredential:
        """Seal a text under a name; under another name it cannot be opened."""
        nonce = secrets.token_bytes(12)
        sealed = self._cipher.encrypt(nonce, text.encode("utf-8", "surrogatepass"), name.encode())
        return SealedCredential(name, label, nonce, sealed)

    def unseal(self, credential: SealedCredential) -> str:
        """Return the text; CredentialError when it was changed, or moved to another name."""
        try:
            text = self._cipher.decrypt(credential.nonce, credential.sealed, credential.name.encode())
        except InvalidTag:
            raise CredentialError(
                f"The secret {credential.name!r} in this file is damaged, or was sealed for another name: add it again."
            ) from None
        return text.decode("utf-8", "surrogatepass")
