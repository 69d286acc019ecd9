"""The one path to a gateway. Nothing else drives an adapter's calls.

``ask`` makes a single call and waits for it (a tapback, a look-up, a connection test); a dispatch
keeps hundreds in flight with ``send_runner``. What may be sent is decided before, in messaging.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from typing import TypeVar

from senders.gateways.contract import Adapter, GatewayConfig, HttpCall, HttpReply
from senders.gateways.errors import GatewayError, NotSupported
from senders.gateways.registry import ADAPTERS
from senders.gateways.runner import Finished, Runner, run_one
from senders.models import Gateway

__all__ = ["Finished", "Runner", "adapter_of", "ask", "send_runner"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_thread = threading.local()


def adapter_of(gateway: Gateway) -> Adapter:
    """The adapter of a gateway's carrier, with its decrypted credentials.

    Raises ``NotSupported`` for the row of a carrier that this version no longer has.
    """
    adapter = ADAPTERS.get(gateway.kind)
    if adapter is None:
        raise NotSupported(f"this version (no carrier called {gateway.kind})", "everything")
    return adapter(
        GatewayConfig(
            base_url=gateway.base_url,
            credentials=gateway.credentials,
            callback_url=gateway.callback_url,
        )
    )


def ask(gateway: Gateway, steps: Generator[HttpCall, HttpReply, T]) -> T:
    """Drive one verb of the gateway's adapter to its end and return its result.

    Raises the ``GatewayError`` that it ended with. Never inside a transaction: it waits for the
    network.
    """
    try:
        return run_one(steps)
    except GatewayError as error:
        logger.warning(
            "gateway call failed",
            extra={"gateway": gateway.pk, "code": error.code, "detail": error.detail},
        )
        raise


def send_runner() -> Runner:
    """The runner of this thread, kept for its life so that connections stay open."""
    if not hasattr(_thread, "runner"):
        _thread.runner = Runner()
    runner: Runner = _thread.runner
    return runner
