"""Choose the renderer of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.negotiation import DefaultContentNegotiation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rest_framework.renderers import BaseRenderer
    from rest_framework.request import Request


class ShortNegotiation(DefaultContentNegotiation):
    """Negotiates only where there is a choice.

    A view with one renderer answers with it, whatever the client accepts: a client that did not
    ask for JSON still reads more from it than from 406, and parsing what it accepts costs a tenth
    of a small request.
    """

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """Return the renderer and its media type."""
        choices = list(renderers)
        if len(choices) == 1:
            return choices[0], choices[0].media_type
        chosen: tuple[BaseRenderer, str] = super().select_renderer(request, choices, format_suffix)
        return chosen
