"""Every route of the platform, for the tests that ask all of them."""

import re

from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView

METHODS = ("get", "post", "put", "patch", "delete")


def patterns(resolver=None, prefix=""):
    """Give the path and the pattern of every route."""
    for pattern in (resolver or get_resolver()).url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from patterns(pattern, path)
        elif isinstance(pattern, URLPattern):
            yield path, pattern


def api_views():
    """Give path, callback and class of every route of the REST framework."""
    for path, pattern in patterns():
        view_class = getattr(pattern.callback, "cls", None)
        if view_class is not None and issubclass(view_class, APIView):
            yield path, pattern.callback, view_class


def pages():
    """Give path and callback of every route that is neither of the API nor of the admin site."""
    for path, pattern in patterns():
        view_class = getattr(pattern.callback, "cls", None)
        is_api = view_class is not None and issubclass(view_class, APIView)
        module = getattr(pattern.callback, "__module__", "")
        if not is_api and not module.startswith("django."):
            yield path, pattern.callback


def calls():
    """Give method, path and capability of everything that can be asked of the API."""
    for path, callback, view_class in api_views():
        capabilities = getattr(view_class, "capabilities", {})
        actions = getattr(callback, "actions", None)
        for method in METHODS:
            if method not in view_class.http_method_names:
                continue
            name = actions.get(method) if actions else method.upper()
            exists = name is not None and (bool(actions) or hasattr(view_class, method))
            if exists:
                needed = capabilities.get(name, capabilities.get(method.upper()))
                yield method, path, needed


def example(path):
    """Fill a route's parameters with values that fit."""
    uuid = "00000000-0000-0000-0000-000000000000"
    path = re.sub(r"\(\?P<\w+>[^)]*\{36\}\)|<uuid:\w+>", uuid, path)
    path = re.sub(r"\(\?P<\w+>[^)]*\)|<\w+:\w+>|<\w+>", "1", path)
    return "/" + path.replace("^", "").replace("$", "").replace("\\Z", "").replace("\\.", ".")
