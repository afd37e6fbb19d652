"""doorward with 10,000 other sites beside the one that is asked: compare with `doorward` for what their number costs."""
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent))
import doorward  # noqa: E402  (found by the line above)

NAME = "doorward-10000"
CAPS = doorward.CAPS - {"sites"}
OTHERS = 10_000


def files(c):
    site = f"{c.home}/certs/sites/s{{:05}}.test"
    others = [{"name": f"s{n:05}.test", "crt": f"{site}.crt".format(n), "key": f"{site}.key".format(n)} for n in range(OTHERS)]
    return doorward.conf(c, others=others)


command, version = doorward.command, doorward.version
