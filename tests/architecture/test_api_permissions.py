"""Default deny: every API view says what it needs, and nobody gets in without it."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView

from core.rest.permissions import PUBLIC, SIGNED_IN

# Signing out leads to the sign-in page; the others are meant for everybody.
PUBLIC_PATHS = {"", "healthz", "readyz", "admin/login/"}


def _patterns(resolver=None, prefix=""):
    for pattern in (resolver or get_resolver()).url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern, path)
        elif isinstance(pattern, URLPattern):
            yield path, pattern


def _api_views():
    for path, pattern in _patterns():
        view_class = getattr(pattern.callback, "cls", None)
        if view_class is not None and issubclass(view_class, APIView):
            yield path, pattern.callback, view_class


def _example(path):
    """Fill a route's parameters with values that fit."""
    import re

    path = re.sub(r"\(\?P<\w*id>[^)]*\)|<uuid:\w+>", "00000000-0000-0000-0000-000000000000", path)
    path = re.sub(r"\(\?P<\w+>[^)]*\)|<\w+:\w+>|<\w+>", "1", path)
    return path.replace("^", "").replace("$", "").replace("\\Z", "").replace("\\.", ".")


def test_every_action_and_method_names_its_capability():
    missing = []
    for path, callback, view_class in _api_views():
        actions = getattr(callback, "actions", None)
        if actions:
            allowed = view_class.http_method_names
            wanted = {action for method, action in actions.items() if method in allowed}
        else:
            wanted = {
                method.upper()
                for method in ("get", "post", "put", "patch", "delete")
                if hasattr(view_class, method)
            }
        named = set(getattr(view_class, "capabilities", {}))
        missing += [f"{path}: {name}" for name in sorted(wanted - named)]
    assert missing == []


@pytest.mark.django_db
def test_every_capability_is_a_permission():
    known = {
        f"{app}.{code}"
        for app, code in Permission.objects.values_list("content_type__app_label", "codename")
    }
    named = {
        needed
        for _, _, view_class in _api_views()
        for needed in getattr(view_class, "capabilities", {}).values()
    }
    assert named - known - {PUBLIC, SIGNED_IN} == set()


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_nobody_reaches_anything_but_the_public_routes(client, method):
    reached = []
    for path, pattern in _patterns():
        if path in PUBLIC_PATHS:
            continue
        answer = getattr(client, method)("/" + _example(path))
        if answer.status_code in {401, 403, 404, 405}:
            continue
        if answer.status_code == 302 and answer.headers["Location"].startswith("/admin/"):
            continue
        view_class = getattr(pattern.callback, "cls", None)
        if PUBLIC in getattr(view_class, "capabilities", {}).values():
            continue
        reached.append((method, path, answer.status_code))
    assert reached == []
