"""The secrets of a project, and what references to them stand for.

A reference says where a secret is: `env:NAME`, an environment variable; `keyring:NAME`, the keyring of the operating
system; `file:NAME`, the project file, sealed under a passphrase.  References are what graphs, inputs, runs, jobs and
model records hold.  A secret itself is only ever a `Secret`, which cannot be stored.

The passphrase is the one that `unlock` was given, or what WORKGLOW_PASSPHRASE says, or what the system's keyring has
for this project.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workglow.errors import CredentialError
from workglow.tasks.standard_resolvers import credential as from_environment
from workglow.values import Secret

if TYPE_CHECKING:
    from workglow.credentials.sealing import SealingKey
    from workglow.file import File
    from workglow.storage.credentials import CredentialRepository, KeyRecord

__all__ = ["PASSPHRASE_VARIABLE", "Credential", "Credentials"]

PASSPHRASE_VARIABLE: Final = "WORKGLOW_PASSPHRASE"
_NAME: Final = re.compile(r"[\w.@-]{1,200}")


@dataclass(frozen=True, slots=True)
class Credential:
    """What may be known of a secret: its name, a label for people, and since when it is so (milliseconds)."""

    name: str
    label: str
    created_at: int
    updated_at: int

    @property
    def reference(self) -> str:
        """What stands for it in graphs and model records."""
        return f"file:{self.name}"


class Credentials:
    """Reads secrets by reference, and keeps some in the project file."""

    def __init__(self, file: File, repository: CredentialRepository, *, cost: int | None = None) -> None:
        self._file = file
        self._repository = repository
        self._cost = cost
        self._key: SealingKey | None = None

    def read(self, reference: str) -> Secret:
        """Return what a reference stands for.

        Raises TaskInputError for what is no reference or an empty variable, CredentialError for a secret that is not
        there, or a file whose secrets are locked.  The text of the reference is in no message, for it may be a secret
        that was given by mistake.
        """
        kind, colon, name = reference.partition(":")
        if colon and kind == "file" and _NAME.fullmatch(name):
            return self._from_file(name)
        if colon and kind == "keyring" and name:
            return _from_keyring(name)
        return from_environment(reference)

    def add(self, name: str, secret: Secret | str, *, label: str = "") -> Credential:
        """Keep a secret in the file, in place of the one of that name.

        The first one makes the passphrase that `unlock` was given, or that is found, the passphrase of the file.
        Raises CredentialError when there is no passphrase, or when it is not that of the file.
        """
        if not _NAME.fullmatch(name):
            raise CredentialError("A credential's name has 1 to 200 letters, digits, and the signs . _ @ -")
        text = secret.reveal() if isinstance(secret, Secret) else secret
        if not text:
            raise CredentialError(f"The secret {name!r} is empty.")
        key = self._opened(make=True)
        if not self._repository.put(key.seal(name, label, text), key.salt):
            self.lock()
            raise CredentialError("The passphrase of this file was changed meanwhile; unlock with the new one.")
        return next(one for one in self.all() if one.name == name)

    def all(self) -> list[Credential]:
        """List the secrets of the file, by name; it need not be unlocked."""
        return [Credential(one.name, one.label, one.created_at, one.updated_at) for one in self._repository.all()]

    def remove(self, name: str) -> bool:
        """Forget a secret of the file; False when there is none of that name."""
        return self._repository.remove(name)

    def unlock(self, passphrase: Secret | str) -> None:
        """Give the passphrase; a file without secrets takes it as its own with the first one.

        CredentialError when it is not that of the file.
        """
        from workglow.credentials.sealing import COST, SealingKey

        text = passphrase.reveal() if isinstance(passphrase, Secret) else passphrase
        if not text:
            raise CredentialError("The passphrase is empty.")
        record = self._repository.key()
        if record is None:
            self._key = SealingKey.new(text, self._cost or COST)
        else:
            self._key = SealingKey.opened(text, record)

    def remember(self, passphrase: Secret | str) -> None:
        """Unlock, and keep the passphrase in the system's keyring, so that this person need not give it again here."""
        from workglow.credentials import system_keyring

        self.unlock(passphrase)
        text = passphrase.reveal() if isinstance(passphrase, Secret) else passphrase
        system_keyring.keep(f"passphrase of {self._file.uid}", text)

    def lock(self) -> None:
        """Forget the passphrase."""
        self._key = None

    def rotate(self, passphrase: Secret | str) -> int:
        """Seal every secret anew under another passphrase, all or none; how many there are.

        What an older copy of the file holds is still under the old one.
        """
        from workglow.credentials.sealing import COST, SealingKey

        text = passphrase.reveal() if isinstance(passphrase, Secret) else passphrase
        if not text:
            raise CredentialError("The new passphrase is empty.")
        old = self._opened(make=False)
        new = SealingKey.new(text, self._cost or COST)
        known = self._repository.all()
        sealed = [new.seal(one.name, one.label, old.unseal(one)) for one in known]
        if not self._repository.replace(new.record(), sealed, old.salt):
            raise CredentialError("The secrets of this file were changed meanwhile; nothing was done, try again.")
        self._key = new
        return len(sealed)

    @property
    def has_passphrase(self) -> bool:
        """Whether the file has secrets that a passphrase opens."""
        return self._repository.key() is not None

    def _from_file(self, name: str) -> Secret:
        sealed = self._repository.get(name)
        if sealed is None:
            raise CredentialError(
                f"{self._file.path} has no credential {name!r}; add it: "
                f"workglow credentials add {self._file.path} {name}"
            )
        return Secret(self._opened(make=False).unseal(sealed))

    def _opened(self, *, make: bool) -> SealingKey:
        record = self._repository.key()
        if self._key is None or (record is not None and record.salt != self._key.salt):
            self._find_passphrase(record)
        assert self._key is not None
        if record is None:
            if not make:
                raise CredentialError(f"{self._file.path} has no secrets yet: workglow credentials add …")
            kept = self._repository.begin(self._key.record())
            if kept.salt != self._key.salt:  # another process was first
                self._find_passphrase(kept)
        return self._key

    def _find_passphrase(self, record: KeyRecord | None) -> None:
        from workglow.credentials import system_keyring

        text = os.environ.get(PASSPHRASE_VARIABLE)
        if not text and system_keyring.there_is_one():
            text = system_keyring.look_up(f"passphrase of {self._file.uid}")
        if not text:
            state = "has no passphrase for its secrets yet" if record is None else "holds secrets that are locked"
            raise CredentialError(
                f"{self._file.path} {state}: set {PASSPHRASE_VARIABLE}, call project.credentials.unlock(…), or keep "
                "the passphrase in the system's keyring (workglow credentials remember FILE)."
            )
        self._key = None
        self.unlock(text)


def _from_keyring(name: str) -> Secret:
    from workglow.credentials import system_keyring

    text = system_keyring.look_up(name)
    if text is None:
        raise CredentialError(
            f"The system's keyring has no secret {name!r}; add it: workglow credentials add FILE {name} --keyring"
        )
    return Secret(text)
