"""What docs/api.md prints is what works."""

import datetime as dt
import re
from pathlib import Path
from string import Template

import pytest
from django.utils import timezone

from api.mobile_text_alerts.errors import KINDS
from senders.models import SenderIdentity
from tests.api.conftest import Call

PAGE = (Path(__file__).parents[2] / "docs/api.md").read_text()
BODIES = re.findall(r"<<BODY\n(.*?)\nBODY", PAGE, re.DOTALL)


@pytest.mark.parametrize("body", BODIES)
def test_a_printed_body_is_accepted(post: Call, identity: SenderIdentity, body: str) -> None:
    filled = Template(body).substitute(
        SENDER=identity.name,
        LONGCODE=identity.longcode.public_id,
        TOMORROW=(timezone.now() + dt.timedelta(days=1)).strftime("%Y%m%dT%H%M%S-0000"),
    )

    assert post(filled.encode()).status_code == 200


def test_there_are_bodies_to_try() -> None:
    assert len(BODIES) >= 3


def test_every_status_is_explained() -> None:
    explained = dict(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", PAGE, re.MULTILINE))

    assert explained == {str(status): kind.type for status, kind in KINDS.items()}
