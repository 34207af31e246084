"""Calls and events in lines of JSON: a test in JavaScript directs a Python client over stdin and stdout."""

import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

Calls = dict[str, Callable[..., Awaitable[Any]]]


def emit(type: str, **fields: Any) -> None:
    """Tells the test of something that happened."""
    print(json.dumps({"type": type, **fields}), flush=True)


async def _answer(calls: Calls, request: dict[str, Any]) -> None:
    try:
        result = await calls[request["call"]](**request["args"])
        answer = {"id": request["id"], "result": result}
    except Exception as error:
        traceback.print_exc()
        fields = {"message": str(error) or repr(error), "name": type(error).__name__}
        for field in ("code", "status"):
            if isinstance(value := getattr(error, field, None), str | int):
                fields[field] = value
        answer = {"id": request["id"], "error": fields}
    print(json.dumps(answer), flush=True)


async def serve(calls: Calls) -> None:
    """Answers calls, each in a task of its own, until stdin ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    running = set()
    while line := await reader.readline():
        task = loop.create_task(_answer(calls, json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)
