"""Calls of synchronous functions from the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import anyio.to_thread

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def call_maybe_in_thread(function: Callable[[*Ts], T], *arguments: *Ts, inline: bool) -> T:
    """Call a synchronous function and return its result, without blocking the event loop.

    Args:
        function: the function.
        arguments: its arguments.
        inline: whether the function does not block, so that it is called directly; otherwise it runs in the thread
            pool.
    """
    return function(*arguments) if inline else await anyio.to_thread.run_sync(function, *arguments)
