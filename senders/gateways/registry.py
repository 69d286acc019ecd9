"""The carriers that exist here: one line each."""

from senders.gateways.contract import Adapter
from senders.gateways.simulator.adapter import Simulator

ADAPTERS: dict[str, type[Adapter]] = {
    Simulator.kind: Simulator,
}
