"""The calls of the dialect."""

from __future__ import annotations

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from api import idempotency
from api.authentication import token_of
from api.mobile_text_alerts import sending
from api.mobile_text_alerts.errors import Conflict
from api.mobile_text_alerts.operation import Operation, success
from api.mobile_text_alerts.send_request import SendRequest
from api.models import Token


class VerifyApiKey(Operation):
    def get(self, request: Request) -> Response:
        return success({"name": token_of(request).name}, "API Key verified")


class SendMessages(Operation):
    scope = Token.Scope.SEND

    @transaction.atomic
    def post(self, request: Request) -> Response:
        """Send, or schedule, one text to an audience; everything of it or nothing."""
        asked = SendRequest.read(request.data)
        key = request.headers.get("X-Request-Id")
        if key and not idempotency.claim(token_of(request), key, body=request.data, status=200):
            raise Conflict
        return success(sending.report(sending.place(asked, name=token_of(request).name)))
