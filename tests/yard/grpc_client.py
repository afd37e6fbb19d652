"""Calls grpc_server.py through the gateway in every manner gRPC knows: grpc_client.py PORT ROOTS

Prints `ok`, or fails with the reason.
"""

import queue
import sys

import grpc

port, roots = sys.argv[1:]
credentials = grpc.ssl_channel_credentials(open(roots, "rb").read())
channel = grpc.secure_channel(f"localhost:{port}", credentials)
SOON = 30


def method(kind, name):
    return getattr(channel, kind)(f"/yard.Yard/{name}")


def code_of(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


# One question, one answer, with metadata before and behind.
answer, call = method("unary_unary", "Unary").with_call(b"hello", metadata=[("x-asked", "why")], timeout=SOON)
assert answer == b"hello" and ("x-told", "why") in call.trailing_metadata(), (answer, call.trailing_metadata())
large = bytes(3_000_000)
assert method("unary_unary", "Unary")(large, timeout=SOON) == large

# Many answers, many questions, and both in turn.
assert [int(part) for part in method("unary_stream", "Stream")(b"1000", timeout=SOON)] == list(range(1000))
assert method("stream_unary", "Count")((bytes(100_000) for _ in range(50)), timeout=SOON) == b"5000000"
questions = queue.Queue()
answers = method("stream_stream", "Chat")(iter(questions.get, None), timeout=SOON)
for number in range(20):
    questions.put(b"%d" % number)
    assert next(answers) == b"re: %d" % number
questions.put(None)
assert list(answers) == []

# Failures: of the method, of the name, and of time, of which the server is told.
assert code_of(method("unary_unary", "Fail"), b"", timeout=SOON) == (grpc.StatusCode.NOT_FOUND, "no such thing, näh")
assert code_of(method("unary_unary", "Nothing"), b"", timeout=SOON)[0] == grpc.StatusCode.UNIMPLEMENTED
assert code_of(method("unary_unary", "Sleep"), b"", timeout=0.5)[0] == grpc.StatusCode.DEADLINE_EXCEEDED
assert method("unary_unary", "WasCancelled")(b"", timeout=SOON) == b"yes"

# What the gateway itself refuses: by a rule, by a limit, and because the backend is gone.
def asked(service):
    return code_of(channel.unary_unary(f"/yard.{service}/Unary"), b"", timeout=SOON)


code, details = asked("Closed")
assert code == grpc.StatusCode.PERMISSION_DENIED and "from your address" in details, (code, details)
assert [asked("Limited")[0] for _ in range(2)] == [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAVAILABLE]
code, details = asked("Gone")
assert code == grpc.StatusCode.UNAVAILABLE and "cannot be reached" in details, (code, details)
print("ok")
