"""Whether anybody has written since one's own last transaction, so that what was read in it is still so.

SQLite says it under the write lock: its `data_version` has grown by one for the commit of that transaction, and by one
or more for anybody else's, of this connection or another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Quiet"]

_NEVER: Final = -2  # no version, nor is the next one


class Quiet:
    """Watches over the transactions of one kind."""

    def __init__(self, data_version: Callable[[], int]) -> None:
        """`data_version` is that of the connection which writes."""
        self._data_version = data_version
        self._version = _NEVER  # of the transaction that is going on
        self._quiet_at = _NEVER  # what the next one finds when nobody else commits

    def begin(self) -> bool:
        """Begin, inside a transaction; whether the file is as the last one left it."""
        version = self._data_version()
        quiet = version == self._quiet_at
        self._quiet_at = _NEVER  # this one may be undone
        self._version = version
        return quiet

    def forget(self) -> None:
        """More is changed in this transaction than is known of it, or by others who share it."""
        self._version = _NEVER

    def committed(self) -> None:
        """The transaction is committed."""
        self._quiet_at = self._version + 1
