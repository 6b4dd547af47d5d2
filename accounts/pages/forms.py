"""Forms of signing in and of what guards an account."""

from __future__ import annotations

from typing import Any, Final

from django import forms

from accounts.validators import LONGEST

_LONGEST_NAME: Final = 1_000
_LONGEST_CODE: Final = 64


class AccessForm(forms.Form):
    """Labels stand above fields; what was refused is told once and named by its fields."""

    required_css_class = "required"

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        if self.is_bound:
            for field in self.fields.values():
                field.widget.attrs["aria-describedby"] = "refused"

    def refuse(self, message: str) -> None:
        """Tell that what was sent was refused, also by a form that was not sent itself."""
        if not self.is_bound:
            self.is_bound = True
            self.data = {}
            self.full_clean()
            self._errors = forms.utils.ErrorDict()
        self.add_error(None, message)


class SignInForm(AccessForm):
    """Name and password."""

    username = forms.CharField(
        label="Username",
        max_length=_LONGEST_NAME,
        widget=forms.TextInput(
            attrs={"autofocus": True, "autocomplete": "username webauthn", "autocapitalize": "none"}
        ),
    )
    # The length is judged by the service, so that the API and the page say the same.
    password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class CodeForm(AccessForm):
    """A code of an app, or a recovery code."""

    code = forms.CharField(
        label="Code",
        max_length=_LONGEST_CODE,
        widget=forms.TextInput(
            attrs={"autofocus": True, "autocomplete": "one-time-code", "autocapitalize": "none"}
        ),
    )


class PasswordForm(AccessForm):
    """The password of whoever is signed in."""

    password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autofocus": True, "autocomplete": "current-password"}),
    )


class AppForm(AccessForm):
    """The first code of a new authenticator app."""

    code = forms.CharField(
        label="Code that the app shows",
        max_length=_LONGEST_CODE,
        widget=forms.TextInput(
            attrs={"autofocus": True, "autocomplete": "one-time-code", "inputmode": "numeric"}
        ),
    )
    label = forms.CharField(
        label="Name",
        max_length=60,
        required=False,
        help_text="Such as the phone that it is on.",
    )


class LabelForm(AccessForm):
    """What a second factor is called."""

    label = forms.CharField(label="Name", max_length=60)


class NewPasswordForm(AccessForm):
    """The current password, and the new one twice."""

    old_password = forms.CharField(
        label="Current password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autofocus": True, "autocomplete": "current-password"}),
    )
    new_password1 = forms.CharField(
        label="New password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=(
            f"12 to {LONGEST:,} characters. Three or four random words are good; your user name, "
            "words such as admin and what everybody uses are not."
        ),
    )
    new_password2 = forms.CharField(
        label="New password again",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, Any]:
        """Refuse two new passwords that differ."""
        data = self.cleaned_data
        first, second = data.get("new_password1"), data.get("new_password2")
        if first and second and first != second:
            self.add_error("new_password2", "This is not the same as the new password above.")
        return data
