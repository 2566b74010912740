"""Identifiers that sort by the time they were made."""

from __future__ import annotations

import hashlib
import os

__all__ = ["new_id"]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no i, l, o, u


def new_id(now: int, origin: str = "") -> str:
    """Return 26 characters: 48 bits of `now` in milliseconds, then 80 random bits, or those that `origin` hashes to.

    Ids sort as text in the order of their time; the layout is that of a ULID (github.com/ulid/spec).
    """
    low = hashlib.sha256(origin.encode()).digest()[:10] if origin else os.urandom(10)
    number = (now << 80) | int.from_bytes(low, "big")
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
