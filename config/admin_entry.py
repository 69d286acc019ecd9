"""The admin's door: one sign-in for everything, which is the console's."""

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.http import url_has_allowed_host_and_scheme


def sign_in(request: HttpRequest) -> HttpResponse:
    """Lead to the console's sign-in and from there to the page that was asked for.

    Who is signed in and still not let in would go round in circles: they are told so instead.
    """
    if request.user.is_authenticated:
        raise PermissionDenied
    asked_for = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(asked_for, allowed_hosts=None):
        asked_for = "/admin/"
    return redirect_to_login(asked_for)
