"""Forms of channels, one per kind."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms

from core.errors import InvalidInputError
from core.keyring import KeyringError
from notifications.models import Channel
from notifications.services import channels

if TYPE_CHECKING:
    from collections.abc import Callable


class ChannelForm(forms.ModelForm[Channel]):
    """What every kind has."""

    private_field: str

    class Meta:
        model = Channel
        fields = ["name", "enabled", "timeout_seconds", "max_parallel"]
        labels: ClassVar = {
            "timeout_seconds": "Timeout, in seconds",
            "max_parallel": "Messages at once",
        }

    @property
    def is_new(self) -> bool:
        """Tell whether the form adds a channel."""
        return self.instance._state.adding  # noqa: SLF001  # documented state API

    def clean_name(self) -> str:
        """Keep the names that variables use for their own channels."""
        name: str = self.cleaned_data["name"]
        if self.is_new and name in channels.ENVIRONMENT_NAMES:
            message = "This name belongs to the channel that the variable of that name creates."
            raise forms.ValidationError(message)
        return name

    def config(self) -> dict[str, Any] | None:
        """Return the private settings, or None to keep what is stored."""
        value = self.cleaned_data[self.private_field]
        return {self.private_field: value} if value else None


class WebhookForm(ChannelForm):
    """A URL; it often holds a token, so it goes in and is never shown again."""

    private_field = "url"
    url = forms.CharField(
        label="URL",
        max_length=2000,
        required=False,
        widget=forms.URLInput(attrs={"class": "vTextField", "autocomplete": "off"}),
        help_text="Receives a signed POST with JSON. It must be public, or be listed in "
        "OPS_OUTGOING_ALLOW.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(*args, **kwargs)
        field = self.fields["url"]
        if self.is_new:
            field.required = True
        else:
            field.help_text = f"Leave it empty to keep the present one at {self.instance.target}."

    def clean_url(self) -> str:
        """Judge a URL that is given; an empty one keeps what is stored."""
        url: str = self.cleaned_data["url"]
        return _judged(channels.usable_url, url, "url") if url else ""


class EmailForm(ChannelForm):
    """Addresses, one a line."""

    private_field = "recipients"
    recipients = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 4, "class": "vLargeTextField"}),
        help_text="One address a line. Each gets a message of its own.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(*args, **kwargs)
        if not self.is_new:
            # Addresses that the keyring cannot open are entered again.
            with contextlib.suppress(KeyringError):
                self.initial["recipients"] = "\n".join(self.instance.config["recipients"])

    def clean_recipients(self) -> list[str]:
        """Judge every address."""
        given = self.cleaned_data["recipients"].replace(",", "\n").split("\n")
        wanted = [address.strip() for address in given if address.strip()]
        usable: list[str] = _judged(channels.usable_recipients, wanted, "recipients")
        return usable


FORMS: Final[dict[str, type[ChannelForm]]] = {
    Channel.Kind.WEBHOOK: WebhookForm,
    Channel.Kind.EMAIL: EmailForm,
}


def _judged(judge: Callable[[Any], Any], value: object, name: str) -> Any:  # noqa: ANN401  # the judge's own type
    try:
        return judge(value)
    except InvalidInputError as error:
        raise forms.ValidationError(error.errors[name]) from error
