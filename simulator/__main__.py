"""``python -m simulator --port 8001 --data simulator.sqlite3``: run the carrier until a signal."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import signal
import sys
from pathlib import Path

from simulator.api import Api
from simulator.callbacks import Caller
from simulator.carrier import Carrier
from simulator.journal import Journal
from simulator.web import Connection


def main() -> None:
    options = _options()
    try:
        asyncio.run(run(options))
    except OSError as error:
        sys.exit(f"The simulator can't start: {error.strerror or error}.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulator", description="A simulated carrier.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001, help="0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, help="SQLite file of its record")
    parser.add_argument("--seed", type=int, default=1, help="decides all that looks like chance")
    parser.add_argument("--api-key", default="", help="the only key taken; any key without it")
    return parser.parse_args()


async def run(options: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM, then write what is left of the record."""
    loop = asyncio.get_running_loop()
    journal = Journal(options.data)
    caller = Caller()
    carrier = Carrier(seed=options.seed, journal=journal, later=loop.call_later, tell=caller.add)
    api = Api(carrier, api_key=options.api_key)
    all_open: set[Connection] = set()
    most_kept = _most_kept()
    server = await loop.create_server(
        lambda: Connection(api, all_open, most_kept=most_kept),
        options.host,
        options.port,
        backlog=1024,
    )
    caller.start(carrier.line_of, carrier.event_is_over)
    carrier.load()
    journal.start()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    port = server.sockets[0].getsockname()[1]
    print(f"simulator: http://{options.host}:{port}/", flush=True)
    try:
        await stopped.wait()
    finally:
        server.close()
        await caller.stop()
        journal.close()


def _most_kept() -> int:
    """How many connections may stay open between requests: half of what our limit allows."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit // 2


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
