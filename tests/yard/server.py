"""A WebSocket server on Python's websockets, with compression and its own pings: server.py PORT"""

import asyncio
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import NegotiationError


async def echo(connection):
    try:
        async for message in connection:
            if message == "close":
                await connection.close(4001, "by order")
                return
            await connection.send(message)
    finally:
        print(f"closed {connection.close_code}", flush=True)


def agree(connection, asked):
    if connection.request.path == "/strict" and not asked:
        raise NegotiationError("missing subprotocol")
    return "chat.v2" if "chat.v2" in asked else None


async def main():
    # Pings far more often than the usual 20 s, so that many pass within a test.
    async with serve(echo, "127.0.0.1", int(sys.argv[1]), select_subprotocol=agree, ping_interval=0.05, ping_timeout=5):
        print("listening", flush=True)
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
