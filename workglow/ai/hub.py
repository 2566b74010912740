"""The Hugging Face hub: where it is, who may be asked, and what its refusals mean."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from workglow.errors import AuthenticationError, ModelCallError, UnknownModelError

if TYPE_CHECKING:
    from pathlib import Path

    from workglow.values import Secret

__all__ = [
    "authorization",
    "check_online",
    "hub_address",
    "hub_cache",
    "hub_host",
    "hub_refusal",
    "is_of_the_hub",
    "listing_url",
    "offline_setting",
    "url_of_file",
]

_TRUE: Final = frozenset({"1", "on", "yes", "true"})


def hub_address(base_url: str = "") -> str:
    """Return where the hub is: what a record says, else HF_ENDPOINT, else the one of Hugging Face."""
    return (base_url or os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def hub_host() -> str:
    """Return the host of the hub that is set for this machine."""
    return urlsplit(hub_address()).hostname or ""


def is_of_the_hub(url: str) -> bool:
    """Whether a URL is one of the hub that is set for this machine."""
    return url.startswith(hub_address() + "/")


def hub_cache() -> Path:
    """Return where the hub's own tools keep what they downloaded."""
    from pathlib import Path

    home = os.environ.get("HF_HOME") or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or f"{home}/hub").expanduser()


def listing_url(address: str, repository: str, revision: str) -> str:
    """Return where the hub says which files a repository has, with their sizes and hashes."""
    of = f"/revision/{quote(revision, safe='')}" if revision else ""
    return f"{address}/api/models/{repository}{of}?blobs=true"


def url_of_file(address: str, repository: str, revision: str, file: str) -> str:
    """Return where a file of a repository is."""
    return f"{address}/{repository}/resolve/{quote(revision, safe='')}/{quote(file)}"


def offline_setting(*, hub: bool = True) -> str:
    """Return the setting that forbids to ask the hub, or any host at all; '' when none does."""
    if os.environ.get("WORKGLOW_OFFLINE", "0") not in ("", "0"):
        return "WORKGLOW_OFFLINE"
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE") if hub else ():
        if os.environ.get(name, "").lower() in _TRUE:
            return name
    return ""


def check_online(what: str, *, hub: bool = True) -> None:
    """Raise ModelCallError when a setting forbids to ask for it."""
    if setting := offline_setting(hub=hub):
        raise ModelCallError(f"{what!r:.200} is not downloaded: {setting} is set.")


def authorization(secret: Secret | None, url: str = "") -> dict[str, str]:
    """Return the header for a credential; without one, HF_TOKEN is for the hub that is set for this machine."""
    token = secret.reveal() if secret is not None else os.environ.get("HF_TOKEN", "") if is_of_the_hub(url) else ""
    return {"Authorization": f"Bearer {token}"} if token else {}


def hub_refusal(page: str, status: int, code: str = "", revision: str = "") -> Exception | None:
    """Return what to raise for a status, and an X-Error-Code, that are about the repository of a page; None for others.

    The hub says 401 also of what it does not have, to those who have no token.
    """
    repository = "/".join(page.rsplit("/", 2)[1:])
    if code == "GatedRepo":
        return AuthenticationError(
            f"The hub gives {repository!r} only to those who accepted its terms: do so at {page}, and set HF_TOKEN."
        )
    if code == "RevisionNotFound" or (status == 404 and revision and not code):
        return UnknownModelError(
            f"The hub does not have the revision {revision!r} of {repository!r}: see {page}/tree/main, and give the "
            "record another one."
        )
    if code == "EntryNotFound":
        return UnknownModelError(f"The hub does not have a file that {repository!r} should have: see {page}/tree/main.")
    if status == 404 or code == "RepoNotFound":
        return UnknownModelError(
            f"The hub does not have {repository!r}, or hides it: look at {page}; if it is private, set HF_TOKEN."
        )
    if status in (401, 403):
        return AuthenticationError(
            f"The hub does not let this machine have {repository!r}: look at {page}; if it is there, accept its terms "
            "when it has any, and set HF_TOKEN to a token that may read it."
        )
    return None
