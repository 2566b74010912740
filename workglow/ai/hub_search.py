"""Looking for models on the hub."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

import msgspec

from workglow.ai.addresses import private_hosts
from workglow.ai.hub import authorization, hub_address, offline_setting
from workglow.ai.web import Question, read, refusal
from workglow.errors import ModelCallError

__all__ = ["FoundRepository", "found_on_hub"]

_LARGEST: Final = 16 << 20  # bytes of an answer


class FoundRepository(msgspec.Struct):
    """A repository of the hub, and what its models are said to do."""

    id: str
    pipeline_tag: str | None = None


async def found_on_hub(text: str, *, tag: str, limit: int) -> list[FoundRepository]:
    """Return the repositories with a tag whose names hold the text, the most downloaded first."""
    if setting := offline_setting():
        raise ModelCallError(f"The hub cannot be searched: {setting} is set.")
    asked = {"search": text, "filter": tag, "sort": "downloads", "direction": "-1", "limit": limit}
    url = f"{hub_address()}/api/models?{urlencode(asked)}"
    response, content = await read(Question(url, authorization(None, url), private=private_hosts()), _LARGEST)
    if response.status_code != 200:
        raise refusal(url, response)
    try:
        return msgspec.json.decode(content, type=list[FoundRepository])[:limit]
    except msgspec.DecodeError as error:
        raise ModelCallError(f"{url} answered with what is no list of models: {error}.") from None
