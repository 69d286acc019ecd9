"""Signing in, for the console and the admin alike."""

from __future__ import annotations

from django.contrib.auth.views import LoginView

from console.forms import SignInForm


class SignIn(LoginView):
    template_name = "console/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True
    next_page = "/"
