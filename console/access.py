"""Who may see a page or press a button, and in which zone its times are shown."""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Callable, Collection
from typing import Any, Concatenate, ParamSpec, cast

from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils import timezone
from django.utils.cache import patch_vary_headers

P = ParamSpec("P")
View = Callable[Concatenate["SignedIn", P], HttpResponse]
Guarded = Callable[Concatenate[HttpRequest, P], HttpResponse]

#: Set by static/console/theme.js to the browser's own zone.
ZONE_COOKIE = "zone"


class SignedIn(HttpRequest):
    """A request of somebody who is signed in: what every page of the console is given."""

    user: User
    htmx: Any


def page(
    permission: str = "", *, methods: Collection[str] = ("GET", "HEAD")
) -> Callable[[View[P]], Guarded[P]]:
    """A page for people who have ``permission``: sign-in is asked for first, others get a 403."""

    def wrap(view: View[P]) -> Guarded[P]:
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not request.user.is_authenticated:
                return _ask_to_sign_in(request)
            if permission and not request.user.has_perm(permission):
                raise PermissionDenied
            if request.method not in methods:
                return HttpResponseNotAllowed(methods)
            with timezone.override(zone_of(request)):
                response = view(request, *args, **kwargs)  # type: ignore[arg-type]
            response.headers.setdefault("Cache-Control", "private, no-store")
            patch_vary_headers(response, ["Cookie"])
            return response

        return cast("Guarded[P]", guarded)

    return wrap


def action(
    permission: str,
) -> Callable[[View[P]], Guarded[P]]:
    """Something that a button does: POST only."""
    return page(permission, methods=("POST",))


def zone_of(request: HttpRequest) -> zoneinfo.ZoneInfo:
    """The browser's zone; UTC where it told none that exists."""
    try:
        return zoneinfo.ZoneInfo(request.COOKIES.get(ZONE_COOKIE, "UTC"))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return zoneinfo.ZoneInfo("UTC")


def _ask_to_sign_in(request: HttpRequest) -> HttpResponse:
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return redirect_to_login(request.get_full_path())
