"""A FastAPI application with all that a gateway meets in one: echo, a stream of events, WebSockets of every manner."""

import asyncio

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

app = FastAPI()


@app.get("/", response_class=PlainTextResponse)
async def home():
    return "hello from uvicorn"


@app.get("/events")
async def events():
    async def stream():
        yield "data: first\n\n"
        await asyncio.sleep(3600)
        yield "data: never\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")


async def accept(ws: WebSocket):
    asked = ws.scope.get("subprotocols", [])
    await ws.accept(subprotocol="chat.v2" if "chat.v2" in asked else None)


@app.websocket("/ws")
async def echo(ws: WebSocket):
    await accept(ws)
    try:
        while True:
            message = await ws.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                await ws.send_text(message["text"])
            else:
                await ws.send_bytes(message["bytes"])
    except WebSocketDisconnect:
        pass


@app.websocket("/close")
async def close(ws: WebSocket):
    await accept(ws)
    await ws.receive_text()
    await ws.close(code=4001, reason="by order")


@app.websocket("/refuse")
async def refuse(ws: WebSocket):
    await ws.close()


@app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "DELETE"])
async def show(path: str, request: Request):
    body = await request.body()
    headers = {name: value for name, value in request.headers.items()}
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "query": request.url.query,
            "scheme": request.url.scheme,
            "client": request.client.host if request.client else None,
            "headers": headers,
            "body": len(body),
        }
    )
