"""The keyring of the operating system, for secrets that belong to a person and not to a file."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from workglow.errors import CredentialError, MissingExtraError

__all__ = ["forget", "keep", "look_up", "there_is_one"]

_SERVICE: Final = "workglow"


def there_is_one() -> bool:
    """Whether this machine has a keyring that can be used."""
    if find_spec("keyring") is None:
        return False
    import keyring
    from keyring.backends import fail

    return not isinstance(keyring.get_keyring(), fail.Keyring)


def look_up(name: str) -> str | None:
    """Return a secret; None when the keyring has none of that name."""
    _need()
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(_SERVICE, name)
    except KeyringError as error:
        raise CredentialError(f"The keyring does not give {name!r}: {error}") from error


def keep(name: str, text: str) -> None:
    """Keep a secret in place of the one of that name."""
    _need()
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password(_SERVICE, name, text)
    except KeyringError as error:
        raise CredentialError(f"The keyring does not take {name!r}: {error}") from error


def forget(name: str) -> bool:
    """Forget a secret; False when the keyring has none of that name."""
    if look_up(name) is None:
        return False
    import keyring

    keyring.delete_password(_SERVICE, name)
    return True


def _need() -> None:
    if find_spec("keyring") is None:
        raise MissingExtraError("The system's keyring needs the package keyring: pip install 'workglow[credentials]'.")
    if not there_is_one():
        raise CredentialError(
            "This machine has no keyring that can be used.  Keep the secret in an environment variable (env:NAME), or "
            "in the project file (workglow credentials add FILE NAME)."
        )
