"""doorward with every policy of a site switched on and each request logged: compare with `doorward` for what they cost."""
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent))
import doorward  # noqa: E402  (found by the line above)

NAME = "doorward-policies"
CAPS = doorward.CAPS - {"sites"}

POLICIES = """
    allow 127.0.0.0/8
    limit requests 1000000/s burst 1000000
    limit connections 100000
    limit body 64MiB
    limit message 1MiB 60000000/min
    origin https://bench.test none
    security-headers
    request-headers set X-Gateway doorward
    headers {
        set X-Site bench
        remove X-Powered-By
    }
"""


def files(c):
    return doorward.conf(c, access="on", policies=POLICIES)


command, version = doorward.command, doorward.version
