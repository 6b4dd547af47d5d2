"""Default deny: every route says what it needs, and nobody gets in without it."""

import pytest
from django.contrib.auth.models import Permission

from core.rest.permissions import PUBLIC, SIGNED_IN
from tests.architecture.routes import METHODS, api_views, example, pages, patterns

# The root leads to the console; the others are meant for everybody.
PUBLIC_PATHS = {"", "healthz", "readyz", "admin/login/"}
# Wrapped by the console's `admin_view`, which lets staff in; each page judges for itself beyond
# that, and the tests of the admin pages try them with every role.
STAFF = ("admin/", "api/docs/")


def test_every_action_and_method_names_its_capability():
    missing = []
    for path, callback, view_class in api_views():
        actions = getattr(callback, "actions", None)
        if actions:
            allowed = view_class.http_method_names
            wanted = {action for method, action in actions.items() if method in allowed}
        else:
            wanted = {method.upper() for method in METHODS if hasattr(view_class, method)}
        named = set(getattr(view_class, "capabilities", {}))
        missing += [f"{path}: {name}" for name in sorted(wanted - named)]
    assert missing == []


def test_every_page_names_its_capabilities():
    missing = [
        path
        for path, callback in pages()
        if not path.startswith(STAFF) and not getattr(callback, "capabilities", {})
    ]
    assert missing == []


def test_every_capability_is_a_permission(db):
    known = {
        f"{app}.{code}"
        for app, code in Permission.objects.values_list("content_type__app_label", "codename")
    }
    named = {
        needed
        for views in (api_views(), ((path, view, view) for path, view in pages()))
        for _, _, view in views
        for needed in getattr(view, "capabilities", {}).values()
    }
    assert named - known - {PUBLIC, SIGNED_IN} == set()


@pytest.mark.django_db
@pytest.mark.parametrize("method", METHODS)
def test_nobody_reaches_anything_but_the_public_routes(client, method):
    reached = []
    for path, pattern in patterns():
        if path in PUBLIC_PATHS:
            continue
        answer = getattr(client, method)(example(path))
        if answer.status_code in {401, 403, 404, 405}:
            continue
        if answer.status_code == 302 and answer.headers["Location"].startswith(
            ("/admin/", "/account/")
        ):
            continue
        view = getattr(pattern.callback, "cls", pattern.callback)
        if PUBLIC in getattr(view, "capabilities", {}).values():
            continue
        reached.append((method, path, answer.status_code))
    assert reached == []


@pytest.mark.django_db
def test_pages_send_strangers_to_the_sign_in_and_are_never_cached(client, make_user):
    asked = [
        (path, view.capabilities["GET"])
        for path, view in pages()
        if getattr(view, "capabilities", {}).get("GET", PUBLIC) != PUBLIC
    ]
    assert asked
    for path, _ in asked:
        answer = client.get(example(path))
        assert answer.status_code == 302, path
        assert answer.headers["Location"].startswith("/admin/login/?next="), path
        assert "private" in answer.headers["Cache-Control"], path
