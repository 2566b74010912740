"""A worker's turn, taken by a test that has no event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from workglow.storage.jobs import Ask, JobRepository, Turn


def take(jobs: JobRepository, ask: Ask) -> Turn:
    """What the turn brought, once nobody else was writing: behind the commits, a file does so itself."""

    async def wait(turn: Awaitable[Turn]) -> Turn:
        return await turn

    turn = jobs.turn(ask, block=True)
    return turn if isinstance(turn, Turn) else asyncio.run(wait(turn))
