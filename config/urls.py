from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path

from config import admin_entry, health

urlpatterns = [
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("admin/login/", admin_entry.sign_in),
    path("admin/logout/", LogoutView.as_view(next_page=settings.LOGIN_URL)),
    path("admin/", admin.site.urls),
    path("v3/", include("api.mobile_text_alerts.urls")),
    path("hooks/", include("webhooks.urls")),
    path("", include("console.urls")),
]
