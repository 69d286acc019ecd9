"""The carriers that exist here: one line each."""

from senders.gateways.contract import Adapter

ADAPTERS: dict[str, type[Adapter]] = {}
