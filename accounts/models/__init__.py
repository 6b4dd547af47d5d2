"""Who may sign in, with what, and what they may do."""

from accounts.models.access_changes import AccessChange
from accounts.models.access_reviews import AccessReview, AccessReviewItem
from accounts.models.api_keys import APIKey, DeniedDashKey
from accounts.models.attempts import AttemptBucket
from accounts.models.installations import Installation
from accounts.models.mfa import LoginChallenge, Passkey, RecoveryCode, TOTPDevice
from accounts.models.role_policies import RolePolicy
from accounts.models.sessions import UserSession
from accounts.models.signing_keys import SigningKey
from accounts.models.users import User, UserManager

__all__ = [
    "APIKey",
    "AccessChange",
    "AccessReview",
    "AccessReviewItem",
    "AttemptBucket",
    "DeniedDashKey",
    "Installation",
    "LoginChallenge",
    "Passkey",
    "RecoveryCode",
    "RolePolicy",
    "SigningKey",
    "TOTPDevice",
    "User",
    "UserManager",
    "UserSession",
]
