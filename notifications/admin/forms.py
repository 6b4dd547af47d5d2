"""Forms of channels: what every kind has, and the private settings that its kind asks for."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper

from core.errors import InvalidInputError
from core.keyring import KeyringError
from notifications.engine.kinds import KINDS, Field, Kind, Shape
from notifications.models import Channel
from notifications.services import channels, configs

if TYPE_CHECKING:
    from collections.abc import Mapping

REMOVE: Final = "remove_"

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LINES: Final = 6


class ChannelForm(forms.ModelForm[Channel]):
    """What every kind has; a subclass for each kind adds its own fields."""

    kind: ClassVar[Kind | None] = None

    quiet_days = forms.TypedMultipleChoiceField(
        label="On",
        choices=list(enumerate(_DAYS)),
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None means every day.",
    )
    time_zone = forms.CharField(
        max_length=64, required=False, help_text="Such as Europe/Berlin; empty means UTC."
    )

    class Meta:
        model = Channel
        fields: ClassVar = [
            "name",
            "enabled",
            "timeout_seconds",
            "max_parallel",
            "rate_per_minute",
            "fallback",
            "is_for_people",
            "template",
            "quiet_from",
            "quiet_until",
        ]
        labels: ClassVar = {
            "timeout_seconds": "Timeout, in seconds",
            "max_parallel": "Messages at once",
            "rate_per_minute": "Messages a minute",
            "template": "Own text",
            "quiet_from": "From",
            "quiet_until": "Until",
        }
        help_texts: ClassVar = {
            "quiet_from": "Below critical, messages wait until it is over.",
        }
        widgets: ClassVar = {
            "quiet_from": forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
            "quiet_until": forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
            "template": forms.Textarea(attrs={"rows": 5, "class": "vLargeTextField"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(*args, **kwargs)
        self._stored = self._read()
        # Fields of the form's own, which Django does not fill from the row.
        self.initial.setdefault("quiet_days", self.instance.quiet_days)
        self.initial.setdefault("time_zone", self.instance.time_zone)
        if "fallback" in self.fields:
            self._offer_fallbacks()
        if "rate_per_minute" in self.fields and self.kind is not None:
            usual = self.kind.rate_per_minute
            told = f"{usual} for {self.kind.title}" if usual else "as many as there are"
            self.fields["rate_per_minute"].help_text = f"At most. Empty: {told}."
        for field in self.kind.fields if self.kind is not None else ():
            if field.name in self.fields:
                self._prepare(field)

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

    def clean_time_zone(self) -> str:
        """Take an empty zone for UTC."""
        return self.cleaned_data["time_zone"].strip() or "UTC"

    def clean(self) -> dict[str, Any] | None:
        """Judge the private settings as the service will, so that all mistakes stand together."""
        cleaned = super().clean()
        kind = self.kind
        if kind is None:
            return cleaned
        given = self.config() or {}
        try:
            configs.usable_config(
                kind=kind.name,
                config=configs.merged(kind=kind.name, stored=self._stored, given=given),
            )
        except InvalidInputError as error:
            for name, texts in error.errors.items():
                if name not in self.errors:
                    self.add_error(name if name in self.fields else None, texts)
        return cleaned

    def config(self) -> dict[str, Any] | None:
        """Return the private settings that change; None to keep all that is stored."""
        given: dict[str, Any] = {}
        for field in self.kind.fields if self.kind is not None else ():
            value = self.cleaned_data.get(field.name)
            if self.cleaned_data.get(REMOVE + field.name):
                given[field.name] = None
            elif value or not (field.is_secret or self.is_new):
                given[field.name] = value
        unchanged = all(self._stored.get(name) == value for name, value in given.items() if value)
        gone = any(self._stored.get(name) for name, value in given.items() if not value)
        return None if not self.is_new and unchanged and not gone else given

    def _offer_fallbacks(self) -> None:
        field = self.fields["fallback"]
        others = Channel.objects.filter(is_for_people=False).exclude(pk=self.instance.pk)
        field.queryset = others  # type: ignore[attr-defined]
        if isinstance(field.widget, RelatedFieldWidgetWrapper):
            # A channel begins with its kind, which a window of its own would not ask for.
            field.widget = field.widget.widget

    def _read(self) -> Mapping[str, Any]:
        """Return what is stored; what the keyring cannot open is entered again."""
        if not self.is_new:
            with contextlib.suppress(KeyringError):
                return dict(self.instance.config)
        return {}

    def _prepare(self, field: Field) -> None:
        """Show what may be shown, and offer to keep or remove what may not."""
        shown = self.fields[field.name]
        stored = self._stored.get(field.name)
        if not field.is_secret:
            if stored:
                self.initial[field.name] = _typed(stored)
            return
        if self.is_new:
            shown.required = field.is_required
        elif stored:
            shown.help_text = (
                f"Leave it empty to keep the present one at {self.instance.target}."
                if field.shape is Shape.URL
                else "Leave it empty to keep the present one."
            )
        if not stored:
            self.fields.pop(REMOVE + field.name, None)


def _typed(stored: object) -> str:
    return "\n".join(stored) if isinstance(stored, list) else str(stored)


class _LinesField(forms.CharField):
    """Entries, one a line; commas are fine too."""

    def clean(self, value: Any) -> Any:  # noqa: ANN401  # Django's signature
        """Return the entries."""
        given = super().clean(value).replace(",", "\n").split("\n")
        return [entry.strip() for entry in given if entry.strip()]


def _form_field(field: Field) -> forms.Field:
    options: dict[str, Any] = {
        "label": field.label,
        "help_text": field.help,
        "required": field.is_required and not field.is_secret and not field.default,
    }
    if field.shape is Shape.LINES:
        widget = forms.Textarea(attrs={"rows": _LINES, "class": "vLargeTextField"})
        return _LinesField(widget=widget, **options)
    if field.shape is Shape.CHOICE:
        return forms.ChoiceField(
            choices=field.choices, initial=field.default, **options | {"required": True}
        )
    attributes = {"class": "vTextField", "autocomplete": "off", "spellcheck": "false"}
    widgets = {Shape.URL: forms.URLInput(attrs=attributes)}
    return forms.CharField(
        max_length=field.longest,
        initial=field.default or None,
        widget=widgets.get(field.shape, forms.TextInput(attrs=attributes)),
        **options,
    )


def _form_of(kind: Kind) -> type[ChannelForm]:
    members: dict[str, Any] = {"kind": kind}
    for field in kind.fields:
        members[field.name] = _form_field(field)
        if field.is_removable:
            members[REMOVE + field.name] = forms.BooleanField(
                label=f"Remove the present {field.label[:1].lower()}{field.label[1:]}",
                required=False,
            )
    return type(f"{kind.name.title()}Form", (ChannelForm,), members)


FORMS: Final[dict[str, type[ChannelForm]]] = {name: _form_of(kind) for name, kind in KINDS.items()}


def private_fields(kind: str, *, is_new: bool, stored: Mapping[str, Any]) -> list[str]:
    """Return the names of the private fields in the order of the form."""
    names: list[str] = []
    for field in KINDS[kind].fields:
        names.append(field.name)
        if field.is_removable and not is_new and stored.get(field.name):
            names.append(REMOVE + field.name)
    return names
