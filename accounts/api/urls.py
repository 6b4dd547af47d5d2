"""Routes of access."""

from django.urls import path

from accounts.api import login, mfa

urlpatterns = [
    path("auth/login", login.LoginView.as_view(), name="auth-login"),
    path("auth/mfa", login.MfaView.as_view(), name="auth-mfa"),
    path("auth/passkey", login.PasskeyView.as_view(), name="auth-passkey"),
    path("auth/passkey/begin", login.PasskeyBeginView.as_view(), name="auth-passkey-begin"),
    path("auth/password", login.PasswordView.as_view(), name="auth-password"),
    path("auth/reauth", login.ReauthView.as_view(), name="auth-reauth"),
    path("auth/reauth/begin", login.ReauthBeginView.as_view(), name="auth-reauth-begin"),
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
]
