"""Tokens as Django REST framework wants to see them; shared by the dialects."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from api import tokens
from api.models import Token


class BearerToken(BaseAuthentication):
    """Sets ``request.auth`` to the :class:`~api.models.Token`; a program is no user."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Token]:
        try:
            token = tokens.authenticate(request.headers.get("Authorization", ""))
        except tokens.NotAuthenticated as error:
            raise AuthenticationFailed(str(error)) from None
        return AnonymousUser(), token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class HasScope(BasePermission):
    """Lets a token in that has the view's ``scope``; a view without one takes every token."""

    message = "This API key may not do that. An admin can make one with the right scope."

    def has_permission(self, request: Request, view: APIView) -> bool:
        scope: str | None = getattr(view, "scope", None)
        return scope is None or scope in token_of(request).scopes


def token_of(request: Request) -> Token:
    """The token of a request that :class:`BearerToken` let in."""
    token: object = request.auth
    assert isinstance(token, Token)
    return token
