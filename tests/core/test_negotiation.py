"""A view with one renderer answers with it; with several, the client chooses."""

from __future__ import annotations

import pytest
from rest_framework.exceptions import NotAcceptable
from rest_framework.renderers import StaticHTMLRenderer
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from core.rest.negotiation import ShortNegotiation
from core.rest.renderers import JSONRenderer


def choose(accept, *renderers):
    """Return the media type of the renderer for what a client accepts."""
    request = Request(APIRequestFactory().get("/", headers={"Accept": accept}))
    return ShortNegotiation().select_renderer(request, [cls() for cls in renderers])[1]


@pytest.mark.parametrize("accept", ["application/json", "text/html", "", "nonsense", "*/*"])
def test_the_only_renderer_answers_whatever_is_accepted(accept):
    assert choose(accept, JSONRenderer) == "application/json"


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_among_several_the_client_chooses(accept):
    assert choose(accept, JSONRenderer, StaticHTMLRenderer) == accept


def test_among_several_none_may_fit():
    with pytest.raises(NotAcceptable):
        choose("image/png", JSONRenderer, StaticHTMLRenderer)
