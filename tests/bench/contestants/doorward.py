"""doorward, built with `cargo build --release`; DOORWARD_BIN names another binary. One traffic thread for each core given."""
import os
import pathlib

NAME = "doorward"
CAPS = {"http", "https", "h2", "h3", "ws", "sites"}

BIN = os.environ.get("DOORWARD_BIN") or str(pathlib.Path(__file__).resolve().parents[3] / "target/release/doorward")

CONF = """
bind 127.0.0.1
http-port {http}
https-port {https}
state {dir}/state
log {{
    access off
    level error
}}
timeouts {{
    idle 300s
}}
bench.test {{
    tls {cert} {key}
    proxy 127.0.0.1:{origin}
}}
http://bench.test {{
    proxy 127.0.0.1:{origin}
}}
{sites}
"""
SITE = """{name} {{
    tls {crt} {key}
    proxy 127.0.0.1:{origin}
}}
"""


def files(c):
    return {"doorward.conf": c.fmt(CONF, sites="".join(SITE.format(origin=c.origin, **s) for s in c.sites))}


def command(c):
    return [BIN, "run", "--config", f"{c.dir}/doorward.conf"]


def version(c):
    return [BIN, "--version"]
