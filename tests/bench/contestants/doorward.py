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
    access {access}
    level error
}}
timeouts {{
    idle 300s
}}
bench.test {{
    tls {cert} {key}
    {policies}
    proxy 127.0.0.1:{origin}
}}
http://bench.test {{
    {policies}
    proxy 127.0.0.1:{origin}
}}
{sites}
"""
SITE = """{name} {{
    tls {crt} {key}
    proxy 127.0.0.1:{origin}
}}
"""


def conf(c, access="off", policies="", others=()):
    """The configuration: the benchmark's own site with `policies`, its start-up sites, and `others` beside them."""
    sites = [SITE.format(origin=c.origin, **s) for s in [*c.sites, *others]]
    return {"doorward.conf": c.fmt(CONF, access=access, policies=policies, sites="".join(sites))}


def files(c):
    return conf(c)


def command(c):
    return [BIN, "run", "--config", f"{c.dir}/doorward.conf"]


def version(c):
    return [BIN, "--version"]
