"""What entitlements are limited to: whether a pattern of a rule takes in a resource that a task names.

Policy.  In a pattern `*` stands for any characters.  How names are read depends on the first word of the entitlement:

* `files`, `filesystem`, `sqlite`: paths.  A pattern means the path and everything below it.  It is made absolute when
  the rule is made, and its symbolic links are followed then; those of the resource, and its `..`, when it is checked.
* `network`: hosts, of URLs too, in lower case and without port.
* anything else: plain names.

A name that cannot be read this way is in no grant and in every deny.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from urllib.parse import urlsplit

from workglow.errors import TaskConfigurationError

__all__ = ["is_granted", "is_touched", "rule_patterns"]

_PATHS = frozenset({"files", "filesystem", "sqlite"})
_HOST = re.compile(r"[\w.*-]+|[0-9a-f:.*]+", re.ASCII)


def rule_patterns(id: str, text: str) -> tuple[str, ...]:
    """Return what a person wrote in a rule as patterns that mean the same wherever and whenever they are read.

    A path behind a symbolic link gives two: where it leads, and the link itself.  TaskConfigurationError for what no
    path can be.
    """
    if _kind(id) not in _PATHS:
        return (text,)
    fixed, star, rest = os.path.expanduser(text).partition("*")
    folder, name = (fixed, "") if not star else os.path.split(fixed)
    try:
        bases = (os.path.realpath(folder or "."), os.path.abspath(folder or "."))
    except (ValueError, OSError) as error:  # a null character, say
        raise TaskConfigurationError(f"{text!r} is no path: {error}.") from None
    return tuple(dict.fromkeys(_joined(base, name + star + rest) for base in bases))


def is_granted(id: str, pattern: str, resource: str) -> bool:
    """Whether a rule with this pattern takes in all of the resource."""
    kind = _kind(id)
    if kind in _PATHS:
        paths = _paths(resource)
        return bool(paths) and _holds(_cased(pattern), paths[-1])
    if kind == "network":
        host, wanted = _host(resource), _host(pattern)
        return host is not None and wanted is not None and _matches(wanted, host)
    return _matches(pattern, resource)


def is_touched(id: str, pattern: str, resource: str) -> bool:
    """Whether a rule with this pattern takes in any part of the resource: a folder is touched by what is below it."""
    kind = _kind(id)
    if kind in _PATHS:
        cased, paths = _cased(pattern), _paths(resource)
        if not paths:
            return True
        is_folder = resource.endswith(os.sep) or os.path.isdir(paths[-1])
        return any(_holds(cased, path) or (is_folder and _reaches_below(cased, path)) for path in paths)
    if kind == "network":
        host, denied = _host(resource), _host(pattern)
        return host is None or denied is None or _overlaps(denied, host)
    return _overlaps(pattern, resource)


def _kind(id: str) -> str:
    return id.partition(":")[0]


# ---------------------------------------------------------------------- paths


def _cased(path: str) -> str:
    return os.path.normcase(path)


def _joined(folder: str, rest: str) -> str:
    return os.path.join(folder, rest) if rest else folder


def _paths(resource: str) -> tuple[str, ...]:
    """Return the path as it is written and as it is found on the disk; nothing when it is no path."""
    try:
        absolute = os.path.abspath(resource)
        return (_cased(absolute), _cased(os.path.realpath(resource)))
    except (ValueError, OSError):  # a null character, say
        return ()


def _holds(pattern: str, path: str) -> bool:
    if "*" in pattern:
        return _matches(pattern, path)
    return path == pattern or path.startswith(os.path.join(pattern, ""))


def _reaches_below(pattern: str, folder: str) -> bool:
    """Whether the pattern takes in anything below the folder."""
    below = os.path.join(folder, "")
    head, star, _ = pattern.partition("*")
    return head.startswith(below) or (bool(star) and below.startswith(head))


# ---------------------------------------------------------------------- hosts and names


def _host(text: str) -> str | None:
    """Return the host of a URL, of `host:port` or of a plain name; None when it is none of these."""
    try:
        host = urlsplit(text).hostname if "://" in text else text
        if host is None or "\\" in text:
            return None
        if host.startswith("["):
            host = host[1:].partition("]")[0]
        elif host.count(":") == 1:
            host = host.partition(":")[0]
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
    except (ValueError, UnicodeError):
        return None
    host = host.lower().rstrip(".")
    return host if _HOST.fullmatch(host) else None


@lru_cache(maxsize=256)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, re.sub(r"\*+", "*", pattern).split("*"))), re.DOTALL)


def _matches(pattern: str, name: str) -> bool:
    return _expression(pattern).fullmatch(name) is not None


def _overlaps(pattern: str, name: str) -> bool:
    """Whether a name may mean something that the pattern takes in; a name may have a `*` of its own."""
    if "*" not in name:
        return _matches(pattern, name)
    if "*" not in pattern:
        return _matches(name, pattern)
    heads = sorted((pattern.partition("*")[0], name.partition("*")[0]), key=len)
    tails = sorted((pattern.rpartition("*")[2], name.rpartition("*")[2]), key=len)
    return heads[1].startswith(heads[0]) and tails[1].endswith(tails[0])
