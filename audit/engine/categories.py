"""The category of an act, by the noun that its name begins with."""

from typing import Final

_NOUNS: Final[dict[str, str]] = {
    "auth": "session login password account mfa totp authenticator passkey recovery_code "
    "recovery_codes challenge device step_up token refresh_token sessions second_factor",
    "authz": "user role role_policy rolepolicy group permission api_key dashboard_key network "
    "networks allow_list allow_lists access access_review access_review_item request "
    "address console_networks first_admin",
    "data": "incident notification uptimetest list export logs log log_segments",
    "system": "database installation keyring schedule job",
    "security": "db audit signing_key secret threat block",
}
_CATEGORIES: Final = {noun: name for name, nouns in _NOUNS.items() for noun in nouns.split()}


def category_of(action: str) -> str:
    """Return the category; whatever is not listed changes settings."""
    return _CATEGORIES.get(action.partition(".")[0], "admin")
