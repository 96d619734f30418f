"""Keeps the tasks of a server's connections alive.

The loop itself refers to them weakly: once a client has half-closed, a task that only waits for its own queues could be
collected in the midst of its work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

Handler: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def kept(serve: Handler) -> Handler:
    """The same handler, whose tasks live until they are done."""
    tasks: set[asyncio.Task[object]] = set()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await serve(reader, writer)

    return keep
