"""Talks to an echo server through the gateway with Python's websockets: client.py URL PORT ROOTS CLOSE

Connects to 127.0.0.1:PORT whatever name the URL has. CLOSE is what is sent to be closed with 4001, or the path that
closes so. Prints `ok` and what was agreed, or fails with the reason.
"""

import asyncio
import os
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

url, port, roots, close = sys.argv[1:]
context = ssl.create_default_context(cafile=roots)


def open_to(url):
    return connect(url, host="127.0.0.1", port=int(port), ssl=context, subprotocols=["chat.v1", "chat.v2"], max_size=None)


async def main():
    async with open_to(url) as ws:
        agreed = ws.subprotocol
        extensions = ",".join(extension.name for extension in ws.protocol.extensions)
        for message in ["hello", "Grüße, 世界", b"\x00\x01\xff", os.urandom(900_000), "a" * 300_000, ""]:
            await ws.send(message)
            answer = await asyncio.wait_for(ws.recv(), 20)
            assert answer == message, f"sent {message[:20]!r}, got {answer[:20]!r}"
        # A fragmented message, and the pings of both sides.
        await ws.send(["one ", "two ", "three"])
        assert await asyncio.wait_for(ws.recv(), 20) == "one two three"
        await asyncio.wait_for(await ws.ping(), 20)
    assert ws.close_code == 1000, ws.close_code

    async with open_to(url if not close.startswith("/") else url.rsplit("/", 1)[0] + close) as ws:
        await ws.send(close)
        try:
            await asyncio.wait_for(ws.recv(), 20)
            raise AssertionError("not closed")
        except ConnectionClosed:
            assert (ws.close_code, ws.close_reason) == (4001, "by order"), (ws.close_code, ws.close_reason)
    print(f"ok subprotocol={agreed} extensions={extensions}")


asyncio.run(main())
