"""Signing in to the console, and choosing a password there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import PasswordChangeForm
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.actors import actor_for
from accounts.services import users
from audit.services.records import record_refusal

if TYPE_CHECKING:
    from accounts.models import User

_REFUSED: Final = (
    "That did not work. Check the username and the password; upper and lower case differ."
)


class ConsoleLoginForm(AdminAuthenticationForm):
    """Signing in; a one-time password that has run out is refused."""

    # The same for every reason: it must not tell who exists, or who may come in.
    error_messages = {  # Django declares it for instances
        **AdminAuthenticationForm.error_messages,
        "invalid_login": _REFUSED,
        "inactive": _REFUSED,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        if self.is_bound:
            for field in self.fields.values():
                field.widget.attrs["aria-describedby"] = "refused"

    def confirm_login_allowed(self, user: User) -> None:
        try:
            super().confirm_login_allowed(user)
            _refuse_expired(user)
        except ValidationError:
            # The password was right, so Django sends no signal of a failure.
            reason = "Right password, but no access to the console or an expired one-time password."
            record_refusal(actor=actor_for(user), action="session.refused", reason=reason)
            raise


def _refuse_expired(user: User) -> None:
    if user.password_expires_at is not None and user.password_expires_at <= timezone.now():
        message = (
            "This one-time password has expired. Ask an admin for another, or run on the machine: "
            "manage.py reset_password NAME"
        )
        raise ValidationError(message, code="expired")


class ConsolePasswordChangeForm(PasswordChangeForm):  # not generic at run time
    """Choosing a password of one's own, through the audited service."""

    required_css_class = "required"

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(*args, **kwargs)
        self.label_suffix = ""

    def clean_new_password1(self) -> str:
        password: str = self.cleaned_data["new_password1"]
        if self.user.check_password(password):
            message = "Choose another password than the one you have."
            raise ValidationError(message, code="unchanged")
        return password

    def save(self, commit: bool = True) -> User:  # Django's signature
        users.change_own_password(
            actor=actor_for(self.user),
            user=self.user,
            password=self.cleaned_data["new_password1"],
        )
        return self.user
