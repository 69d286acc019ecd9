"""Addresses under ``/v3/``. Their clients write them with and without the slash at the end."""

from django.urls import re_path

from api.mobile_text_alerts import views
from api.mobile_text_alerts.operation import NothingHere

app_name = "mobile_text_alerts"

urlpatterns = [
    re_path(r"^auth/verify-api-key/?$", views.VerifyApiKey.as_view(), name="verify"),
    re_path(r"^send/?$", views.SendMessages.as_view(), name="send"),
    re_path(r"", NothingHere.as_view()),
]
