"""The door for carriers: ``/hooks/<callback token>/…``."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from senders.gateways.errors import NotSupported
from webhooks import wake
from webhooks.receive import NotTheirs, TooLarge, Unreadable, gateway_of, receive


@csrf_exempt
@require_POST
def callback(request: HttpRequest, token: str, path: str) -> HttpResponse:
    """200 once it is kept, and for one that was kept before; 401 when it is not the carrier's."""
    if "Transfer-Encoding" in request.headers:
        return HttpResponse(status=411)  # a body in chunks: Django reads none of it
    gateway = gateway_of(token)
    if gateway is None:
        return HttpResponse(status=404)
    try:
        kept = receive(gateway, request, path)
        if kept.is_new:
            wake.receipts(reports=kept.is_report)
    except NotTheirs:
        return HttpResponse(status=401)
    except NotSupported:  # a carrier that this version no longer has
        return HttpResponse(status=404)
    except TooLarge:
        return HttpResponse(status=413)
    except Unreadable:
        return HttpResponse(status=400)
    return HttpResponse(status=200)
