"""Whether an address on the internet may be asked: not one of this machine or of the network around it.

A name is looked up, and all its addresses have to be public; the connection then goes to one of those that were looked
at, so that a second look-up cannot give another.  Where a proxy asks for us, it does the looking up, too.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from collections.abc import Collection
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from workglow.errors import ModelCallError, ModelUnavailableError

__all__ = ["is_offline", "is_public", "private_hosts", "public_addresses"]


def is_offline() -> bool:
    """Whether WORKGLOW_OFFLINE says that nobody is asked for models."""
    return os.environ.get("WORKGLOW_OFFLINE", "0") not in ("", "0")


def private_hosts() -> frozenset[str]:
    """Return the hosts that may be asked although they are not public: WORKGLOW_PRIVATE_HOSTS, with commas between."""
    named = os.environ.get("WORKGLOW_PRIVATE_HOSTS", "")
    return frozenset(host.strip().lower() for host in named.split(",") if host.strip())


def is_public(address: str) -> bool:
    """Whether an IP address is one that everybody reaches; what stands for another one inside it counts too."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if found in ipaddress.ip_network("64:ff9b::/96"):  # IPv4 behind a translator
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast


async def public_addresses(url: str, allowed: Collection[str]) -> list[str]:
    """Return the IP addresses to ask for this URL, none when a proxy asks; hosts in `allowed` may be private.

    ModelCallError when it is no URL of the web, or leads into a private network; ModelUnavailableError when the name
    cannot be looked up.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise ModelCallError(f"{url!r:.200} is nothing to download from: {error}.") from None
    host = (parts.hostname or "").lower().rstrip(".")
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.password:
        raise ModelCallError(f"{url!r:.200} is nothing to download from; write https://host/path, without a password.")
    if getproxies().get(parts.scheme) and not proxy_bypass(host):
        addresses, answer = _written(host), []
    else:
        answer = addresses = await _looked_up(host, port)
    private = [] if host in allowed else [address for address in addresses if not is_public(address)]
    if private:
        raise ModelCallError(
            f"{url!r:.200} leads to {private[0]}, in a private network, and is not asked.  If that is what you want, "
            f"set WORKGLOW_PRIVATE_HOSTS={host}."
        )
    return answer


def _written(host: str) -> list[str]:
    """The address that a host is, or stands for without being looked up."""
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return ["127.0.0.1"]
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        return []


async def _looked_up(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ModelUnavailableError(f"The address of {host} cannot be looked up: {error}.") from None
    return [str(entry[4][0]) for entry in found]
