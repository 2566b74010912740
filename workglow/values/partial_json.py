"""A JSON object that is still being written: what can be read of it so far."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn, cast

__all__ = ["parse_partial_json"]

_HIGH_SURROGATE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}")


def parse_partial_json(text: str) -> dict[str, Any] | None:
    """Return the object that a text begins to write, as far as it got.

    A text that was cut off inside a string gives that string as far as it goes; a key without its value, or a number
    or word that is no value yet, is left out.  None for what is no object, or not yet the beginning of one.
    """
    text = text.strip()
    if not text.startswith("{"):
        return None
    scan = _Scan(text)
    closing = "".join(reversed(scan.closers))
    if not scan.in_key:
        body = text[: scan.end_of_string()] + '"' if scan.in_string else text
        found = _loaded(body + closing)
        if found is not None or not closing:
            return found
    if scan.whole == 1 and (scan.in_key or text[-1] not in '":'):
        return None  # the first key or value has only begun
    return _loaded(text[: scan.whole] + closing)


class _Scan:
    """One pass over the text: what is open at its end, and how far it consists of whole values."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.closers: list[str] = []
        self.in_string = self.in_key = False
        self.whole = 0  # the text up to here becomes JSON when what is open is closed
        self.escape = 0  # where the last escape began
        escaped, last = False, ""
        for position, letter in enumerate(text):
            if self.in_string or self.in_key:
                if escaped:
                    escaped = False
                elif letter == "\\":
                    escaped, self.escape = True, position
                elif letter == '"':
                    if self.in_string:
                        self.whole = position + 1
                    self.in_string = self.in_key = False
                continue
            if letter == '"':
                self.in_key = self.closers[-1:] == ["}"] and last in "{,"
                self.in_string = not self.in_key
            elif letter in "{[":
                self.closers.append("}" if letter == "{" else "]")
                self.whole = position + 1
            elif letter in "}]":
                self.closers[-1:] = ()
                self.whole = position + 1
            elif letter == ",":
                self.whole = position
            if not letter.isspace():
                last = letter

    def end_of_string(self) -> int:
        """Where the string that is open ends without an escape, or half a pair of them, that was cut off."""
        text, start = self.text, self.escape
        escape = text[start:]
        if not escape.startswith("\\"):
            return len(text)
        is_cut = len(escape) < (6 if escape[1:2] == "u" else 2)
        if is_cut and _HIGH_SURROGATE.fullmatch(text[max(start - 6, 0) : start]):
            return start - 6
        return start if is_cut or _HIGH_SURROGATE.fullmatch(escape) else len(text)


def _loaded(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
