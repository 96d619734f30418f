"""Keeps the tasks of a server's connections alive.

The loop itself refers to them weakly: once a client has half-closed, a task that only waits for its own queues could be
collected in the midst of its work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

Handler: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def kept(serve: Handler) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]:
    """The same handler, whose tasks live until they are done."""
    tasks: set[asyncio.Task[Any]] = set()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await serve(reader, writer)

    return keep
