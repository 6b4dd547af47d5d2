"""Measure the peers of accounts and audit; prints one JSON object of figures.

Runs in an environment of its own, with nothing of the platform: Django's defaults on a SQLite file
in the folder that is given. CPU is the process's, in microseconds for one call.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Callable

_ROUNDS = 3
_FOLDER = Path(sys.argv[1])


def _configure() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    public = (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    settings.configure(
        SECRET_KEY="of a benchmark, and of nothing else",  # noqa: S106  # nothing is kept
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=__name__,
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "rest_framework",
            "rest_framework_simplejwt",
            "knox",
            "rest_framework_api_key",
            "axes",
            "auditlog",
        ],
        AUTHENTICATION_BACKENDS=[
            "axes.backends.AxesStandaloneBackend",
            "django.contrib.auth.backends.ModelBackend",
        ],
        AXES_FAILURE_LIMIT=5,
        AXES_LOCKOUT_PARAMETERS=["username"],
        AXES_VERBOSE=False,
        LOGGING_CONFIG=None,
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(_FOLDER / "db.sqlite3"),
                "OPTIONS": {
                    "transaction_mode": "IMMEDIATE",
                    "timeout": 20,
                    "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;",
                },
                "CONN_MAX_AGE": 600,
            }
        },
        PASSWORD_HASHERS=["django.contrib.auth.hashers.Argon2PasswordHasher"],
        SIMPLE_JWT={
            "ALGORITHM": "RS256",
            "SIGNING_KEY": private,
            "VERIFYING_KEY": public,
            "ACCESS_TOKEN_LIFETIME": timedelta(hours=1),
        },
    )
    django.setup()


def _cpu_us(call: Callable[[], object], count: int) -> float:
    """Return the least CPU of a call over some rounds."""
    call()
    spent = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        for _ in range(count):
            call()
        spent.append((time.process_time() - began) / count * 1e6)
    return min(spent)


def _request(**headers: str) -> Any:  # noqa: ANN401  # a request of the REST framework
    from rest_framework.request import Request
    from rest_framework.test import APIRequestFactory

    return Request(APIRequestFactory().get("/", **headers))


def _tokens(user: Any) -> dict[str, float]:  # noqa: ANN401  # Django's user
    from django.http import HttpRequest
    from knox.auth import TokenAuthentication
    from knox.models import AuthToken
    from rest_framework_api_key.models import APIKey
    from rest_framework_simplejwt.authentication import (
        JWTAuthentication,
        JWTStatelessUserAuthentication,
    )
    from rest_framework_simplejwt.tokens import AccessToken

    jwt = _request(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(user)}")
    knox = _request(HTTP_AUTHORIZATION=f"Token {AuthToken.objects.create(user)[1]}")
    _, key = APIKey.objects.create_key(name="benchmark")
    plain = HttpRequest()
    plain.META["HTTP_AUTHORIZATION"] = f"Api-Key {key}"
    return {
        "simplejwt_us": _cpu_us(lambda: JWTAuthentication().authenticate(jwt), 500),
        "simplejwt_stateless_us": _cpu_us(
            lambda: JWTStatelessUserAuthentication().authenticate(jwt), 500
        ),
        "knox_us": _cpu_us(lambda: TokenAuthentication().authenticate(knox), 500),
        "api_key_us": _cpu_us(lambda: APIKey.objects.is_valid(key), 500),
        **_added(user),
    }


def _added(user: Any) -> dict[str, float]:  # noqa: ANN401  # Django's user
    """Return what authentication adds to an open view."""
    from knox.auth import TokenAuthentication
    from knox.models import AuthToken
    from rest_framework.permissions import AllowAny, IsAuthenticated
    from rest_framework.response import Response
    from rest_framework.test import APIRequestFactory
    from rest_framework.views import APIView
    from rest_framework_simplejwt.authentication import JWTAuthentication
    from rest_framework_simplejwt.tokens import AccessToken

    def view(authentication: list[type], permission: type) -> Callable[..., Any]:
        class Hello(APIView):
            authentication_classes = authentication
            permission_classes = [permission]

            def get(self, _request: object) -> Response:
                return Response({"hello": "world"})

        return Hello.as_view()

    def cost(answer: Callable[..., Any], **headers: str) -> float:
        factory = APIRequestFactory()
        return _cpu_us(lambda: answer(factory.get("/", **headers)).render(), 500)

    plain = cost(view([], AllowAny))
    with_jwt = cost(
        view([JWTAuthentication], IsAuthenticated),
        HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(user)}",
    )
    with_knox = cost(
        view([TokenAuthentication], IsAuthenticated),
        HTTP_AUTHORIZATION=f"Token {AuthToken.objects.create(user)[1]}",
    )
    return {"simplejwt_adds_us": with_jwt - plain, "knox_adds_us": with_knox - plain}


def _verifications(name: str) -> float:
    """Return how many of forty wrong passwords at once reach the hasher, with a limit of five."""
    from django.contrib.auth import authenticate
    from django.contrib.auth.hashers import Argon2PasswordHasher
    from django.db import connections
    from django.test import RequestFactory

    asked: list[int] = []
    verify = Argon2PasswordHasher.verify

    def counted(self: Any, password: str, encoded: str) -> Any:  # noqa: ANN401  # Django's own
        asked.append(1)
        return verify(self, password, encoded)

    Argon2PasswordHasher.verify = counted
    start = threading.Barrier(40)

    def attempt() -> None:
        start.wait()
        try:
            authenticate(RequestFactory().post("/login"), username=name, password="wrong")  # noqa: S106  # wrong on purpose
        finally:
            connections.close_all()

    threads = [threading.Thread(target=attempt) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Argon2PasswordHasher.verify = verify
    return float(len(asked))


def _login_ms(user: Any) -> float:  # noqa: ANN401  # Django's user
    return _cpu_us(lambda: user.check_password("a good long password"), 5) / 1000


def _audit() -> dict[str, float]:
    from auditlog.registry import auditlog
    from django.contrib.auth.models import Group

    group = Group.objects.create(name="benchmark")
    numbers = iter(range(10**9))

    def save() -> None:
        group.name = f"benchmark {next(numbers)}"
        group.save()

    plain = _cpu_us(save, 300)
    auditlog.register(Group)
    return {"auditlog_save_us": _cpu_us(save, 300), "plain_save_us": plain}


def main() -> None:
    """Measure everything and tell it."""
    _configure()
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    user = get_user_model().objects.create_user("person", password="a good long password")  # noqa: S106  # of a benchmark
    figures = {
        **_tokens(user),
        "login_ms": _login_ms(user),
        "axes_verifications": _verifications("person"),
        **_audit(),
    }
    print(json.dumps(figures))


urlpatterns: list[object] = []

if __name__ == "__main__":
    main()
