"""Opens a WebSocket with Python's websockets and stays silent, without pings of its own: quiet.py URL PORT ROOTS

Connects to 127.0.0.1:PORT whatever name the URL has. Tells `open`, and how it was closed.
"""

import asyncio
import ssl
import sys

from websockets.asyncio.client import connect

url, port, roots = sys.argv[1:]


async def main():
    context = ssl.create_default_context(cafile=roots)
    async with connect(url, host="127.0.0.1", port=int(port), ssl=context, ping_interval=None) as ws:
        print("open", flush=True)
        await ws.wait_closed()
        print(f"closed {ws.close_code} {ws.close_reason}", flush=True)


asyncio.run(main())
