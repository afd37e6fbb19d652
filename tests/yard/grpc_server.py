"""A gRPC server without generated code, whose messages are bytes: grpc_server.py PORT"""

import sys
import threading
from concurrent import futures

import grpc

cancelled = threading.Semaphore(0)


def unary(request, context):
    for name, value in context.invocation_metadata():
        if name == "x-asked":
            context.set_trailing_metadata([("x-told", value)])
    return request


def stream(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def count(requests, context):
    return b"%d" % sum(len(request) for request in requests)


def chat(requests, context):
    for request in requests:
        yield b"re: " + request


def fail(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "no such thing, näh")


def sleep(request, context):
    over = threading.Event()
    context.add_callback(over.set)
    over.wait(60)
    cancelled.release()
    return b""


def was_cancelled(request, context):
    return b"yes" if cancelled.acquire(timeout=20) else b"no"


handlers = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Stream": grpc.unary_stream_rpc_method_handler(stream),
    "Count": grpc.stream_unary_rpc_method_handler(count),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Sleep": grpc.unary_unary_rpc_method_handler(sleep),
    "WasCancelled": grpc.unary_unary_rpc_method_handler(was_cancelled),
}
server = grpc.server(futures.ThreadPoolExecutor(8))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("yard.Yard", handlers),))
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
print("listening", flush=True)
server.wait_for_termination()
