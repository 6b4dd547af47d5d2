"""Routes of access."""

from django.urls import path

from accounts.api import keys, login, mfa, reviews, revocations, sessions

urlpatterns = [
    path("auth/login", login.LoginView.as_view(), name="auth-login"),
    path("auth/mfa", login.MfaView.as_view(), name="auth-mfa"),
    path("auth/passkey", login.PasskeyView.as_view(), name="auth-passkey"),
    path("auth/passkey/begin", login.PasskeyBeginView.as_view(), name="auth-passkey-begin"),
    path("auth/password", login.PasswordView.as_view(), name="auth-password"),
    path("auth/reauth", login.ReauthView.as_view(), name="auth-reauth"),
    path("auth/reauth/begin", login.ReauthBeginView.as_view(), name="auth-reauth-begin"),
    path("auth/refresh", sessions.RefreshView.as_view(), name="auth-refresh"),
    path("auth/logout", sessions.LogoutView.as_view(), name="auth-logout"),
    path("auth/me", sessions.MeView.as_view(), name="auth-me"),
    path("auth/sessions", sessions.SessionsView.as_view(), name="auth-sessions"),
    path("auth/sessions/<uuid:session_id>", sessions.SessionView.as_view(), name="auth-session"),
    path("auth/admin/sessions", revocations.AllSessionsView.as_view(), name="auth-admin-sessions"),
    path("auth/admin/revoke", revocations.RevokeView.as_view(), name="auth-revoke"),
    path("auth/admin/revoke-user", revocations.RevokeUserView.as_view(), name="auth-revoke-user"),
    path("auth/admin/revocations", revocations.RevocationsView.as_view(), name="auth-revocations"),
    path("auth/devices", mfa.DeviceListView.as_view(), name="auth-devices"),
    path("auth/devices/totp", mfa.AppView.as_view(), name="auth-totp"),
    path("auth/devices/totp/confirm", mfa.AppConfirmView.as_view(), name="auth-totp-confirm"),
    path("auth/devices/passkeys", mfa.PasskeyRegisterView.as_view(), name="auth-passkeys"),
    path(
        "auth/devices/passkeys/finish",
        mfa.PasskeyFinishView.as_view(),
        name="auth-passkeys-finish",
    ),
    path(
        "auth/devices/recovery-codes",
        mfa.RecoveryCodesView.as_view(),
        name="auth-recovery-codes",
    ),
    path("auth/devices/<uuid:device_id>", mfa.DeviceView.as_view(), name="auth-device"),
    path("auth/keys", keys.OwnKeysView.as_view(), name="auth-keys"),
    path("auth/keys/<uuid:key_id>", keys.OwnKeyView.as_view(), name="auth-key"),
    path("auth/keys/<uuid:key_id>/rotate", keys.RotateKeyView.as_view(), name="auth-key-rotate"),
    path("auth/admin/keys", keys.AllKeysView.as_view(), name="auth-admin-keys"),
    path("auth/admin/keys/<uuid:key_id>", keys.AnyKeyView.as_view(), name="auth-admin-key"),
    path("auth/reviews", reviews.ReviewsView.as_view(), name="auth-reviews"),
    path("auth/reviews/<str:quarter>", reviews.ReviewView.as_view(), name="auth-review"),
]
