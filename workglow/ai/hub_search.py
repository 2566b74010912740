"""Looking for models on the hub."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

import msgspec

from workglow.ai.addresses import private_hosts
from workglow.ai.hub import authorization, hub_address, offline_setting
from workglow.ai.record import ModelRecord
from workglow.ai.web import Question, read, refusal
from workglow.errors import ModelCallError

__all__ = ["models_on_hub"]

_LARGEST: Final = 16 << 20  # bytes of an answer


class _Repository(msgspec.Struct):
    """A repository of the hub, and what its models are said to do."""

    id: str
    pipeline_tag: str | None = None


async def models_on_hub(text: str, *, provider: str, tag: str, limit: int) -> list[ModelRecord]:
    """Return the repositories with a tag whose names hold the text, the most downloaded first, as a provider's models.

    ModelCallError when a setting forbids to ask, or the answer is none; ModelUnavailableError when none came.
    """
    if setting := offline_setting():
        raise ModelCallError(f"The hub cannot be searched: {setting} is set.")
    asked = {"search": text, "filter": tag, "sort": "downloads", "direction": "-1", "limit": limit}
    url = f"{hub_address()}/api/models?{urlencode(asked)}"
    response, content = await read(Question(url, authorization(None, url), private=private_hosts()), _LARGEST)
    if response.status_code != 200:
        raise refusal(url, response)
    try:
        found = msgspec.json.decode(content, type=list[_Repository])[:limit]
    except msgspec.DecodeError as error:
        raise ModelCallError(f"{url} answered with what is no list of models: {error}.") from None
    return [
        ModelRecord(name=f"{provider}:{one.id}", provider=provider, source=one.id, description=one.pipeline_tag or "")
        for one in found
    ]
