"""What every answer of the web passes through and Django does not bring."""

from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django_structlog.middlewares import RequestMiddleware

from config.logs import mask


class ContentSecurityPolicy(CSPMiddleware):
    """The strict policy everywhere, and under /admin/ what its theme can't do without."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if request.path_info.startswith("/admin/"):
            parts.update = {**settings.ADMIN_CONTENT_SECURITY_POLICY, **(parts.update or {})}
        return parts


class RequestLog(RequestMiddleware):
    """Binds a request id to every log line; a query string may hold numbers and is left out."""

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        return f"{request.method} {mask(request.path)}"
