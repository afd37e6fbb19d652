"""A WebSocket server on Python's websockets, with compression and its own pings: server.py PORT"""

import asyncio
import sys

from websockets.asyncio.server import serve


async def echo(connection):
    async for message in connection:
        if message == "close":
            await connection.close(4001, "by order")
            return
        await connection.send(message)


async def main():
    # Pings far more often than the usual 20 s, so that some pass within a test.
    async with serve(echo, "127.0.0.1", int(sys.argv[1]), subprotocols=["chat.v2"], ping_interval=0.2, ping_timeout=5):
        print("listening", flush=True)
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
