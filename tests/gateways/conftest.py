from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.gateways.raw_carrier import RawCarrier

pytest.register_assert_rewrite("tests.gateways.contract_cases")


@pytest.fixture
def carrier() -> Iterator[RawCarrier]:
    carrier = RawCarrier()
    yield carrier
    carrier.close()


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
