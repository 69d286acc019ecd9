"""What every call of the dialect has in common: token, JSON, request id, envelope, error object."""

from __future__ import annotations

import re
import uuid
from typing import Any, ClassVar

import structlog
from django.http import Http404, HttpRequest
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.authentication import BearerToken, HasScope
from api.json_body import JsonBody, LengthRequired
from api.mobile_text_alerts.errors import explain

REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")


class AlwaysJson(DefaultContentNegotiation):
    """Answers in JSON whatever ``Accept`` says, as theirs does."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class Operation(APIView):
    """One address of the dialect. Subclasses set ``scope`` and return :func:`success`."""

    scope: ClassVar[str | None] = None
    authentication_classes = [BearerToken]
    permission_classes = [HasScope]
    parser_classes = [JsonBody]
    renderer_classes = [JSONRenderer]
    content_negotiation_class = AlwaysJson
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    request_id: str

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        given = request.headers.get("X-Request-Id", "")
        self.request_id = given if REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
        structlog.contextvars.bind_contextvars(request_id=self.request_id)
        return super().initialize_request(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if "Transfer-Encoding" in request.headers:
            raise LengthRequired
        if request.headers.get("X-Request-Id", self.request_id) != self.request_id:
            raise ParseError("X-Request-Id: Use 1 to 200 letters, digits, - and _.")

    def handle_exception(self, exc: Exception) -> Response:
        answer = explain(exc, self.request_id)
        response = Response(answer.body, answer.status)
        if answer.status == 401:
            response["WWW-Authenticate"] = "Bearer"
        response.exception = True
        return response

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        response["X-Request-Id"] = self.request_id
        return super().finalize_response(request, response, *args, **kwargs)


class NothingHere(Operation):
    """Every address under ``/v3`` that is none."""

    authentication_classes = []
    permission_classes = []

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise Http404


def success(data: Any, message: str = "") -> Response:
    """Their envelope around ``data``."""
    return Response({"success": True, **({"message": message} if message else {}), "data": data})
