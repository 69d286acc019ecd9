"""Callback addresses. What can't be a token or can't be kept as a path is not found."""

from django.urls import re_path

from webhooks import views

app_name = "webhooks"

urlpatterns = [
    re_path(
        r"^(?P<token>[A-Za-z0-9_-]{1,64})/(?P<path>[^\x00]{0,200})$",
        views.callback,
        name="callback",
    ),
]
