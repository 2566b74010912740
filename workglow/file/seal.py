"""Seals: what this user decided about this very file, so that a file from elsewhere cannot decide it for them.

A seal is a keyed digest over a text, the project's identity, and the file's inode and time of birth, for the number of
an inode is soon given to another file.  The key is a random file of the user's own, `$XDG_CONFIG_HOME/workglow/key` or
`~/.config/workglow/key`, made when it is first needed.  So a seal holds for the same user and the same file, also after
a crash; in a copy, on another machine, or for another user it does not.  Whoever can write into the file where it is
can do as its user could, so a seal says nothing against them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workglow.file.file import File

__all__ = ["Seal"]

_KEY_SIZE: Final = 32  # bytes
_HERE: Final = -100  # AT_FDCWD of statx(2): a relative path is one from the current folder
_WANTED: Final = 0x800  # STATX_BTIME: the time of birth


class Seal:
    """Seals texts for one open project file."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._key = secrets.token_bytes(_KEY_SIZE) if file.memory else b""

    def sign(self, text: str) -> str:
        """Return the seal of a text: 64 hex digits, or "" where the user's key can be neither read nor made."""
        try:
            key = self._key = self._key or _read_or_make(_key_path())
            place = "" if self._file.memory else _individual(self._file.path)
        except OSError:
            return ""
        identity = "\n".join((self._file.uid, place, text))
        return hmac.new(key, identity.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()

    def holds(self, text: str, signature: object) -> bool:
        """Whether `sign` gave this seal for this text, here."""
        if not isinstance(signature, str) or not signature.isascii():
            return False
        return hmac.compare_digest(self.sign(text) or "-", signature)


def _individual(path: str) -> str:
    """Name a file so that no other one has its name: not its copy, and not the one that takes its place."""
    found = os.stat(path)
    born = getattr(found, "st_birthtime", None)  # macOS, BSD and Windows
    return f"{found.st_ino} {_birth(path) if born is None else born}"


def _birth(path: str) -> str:
    """Ask Linux when a file was made, which Python does not; "" where the kernel or the file system does not know."""
    import ctypes

    answer = ctypes.create_string_buffer(256)
    try:
        status = ctypes.CDLL(None).statx(_HERE, os.fsencode(path), 0, _WANTED, answer)
    except (AttributeError, OSError):
        return ""
    mask, seconds, nanoseconds = struct.unpack_from("=I76xqI", answer)
    return f"{seconds}.{nanoseconds:09}" if status == 0 and mask & _WANTED else ""


def _key_path() -> Path:
    folder = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(folder) / "workglow" / "key"


def _read_or_make(path: Path) -> bytes:
    if not path.exists():
        _make(path)
    key = path.read_bytes()
    if len(key) != _KEY_SIZE:
        raise OSError(f"{path} is no key")
    return key


def _make(path: Path) -> None:
    """Write a whole key or none; of two processes that do so at once, one wins and both read the same."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(_KEY_SIZE))
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
