"""Routes of one's own account, below /account/."""

from django.urls import path

from accounts.pages import keys, mfa, password, profile, sessions, step_up

urlpatterns = [
    path("", profile.profile, name="account"),
    path("password/", password.password, name="account-password"),
    path("confirm/", step_up.step_up, name="account-step-up"),
    path("mfa/", mfa.overview, name="account-mfa"),
    path("mfa/app/", mfa.add_app, name="account-mfa-app"),
    path("mfa/passkey/", mfa.add_passkey, name="account-mfa-passkey"),
    path("mfa/codes/", mfa.new_codes, name="account-mfa-codes"),
    path("mfa/<uuid:device_id>/rename/", mfa.rename, name="account-mfa-rename"),
    path("mfa/<uuid:device_id>/remove/", mfa.remove, name="account-mfa-remove"),
    path("sessions/", sessions.session_list, name="account-sessions"),
    path("sessions/end-others/", sessions.end_others, name="account-sessions-end-others"),
    path("sessions/<uuid:sid>/end/", sessions.end, name="account-sessions-end"),
    path("keys/", keys.key_list, name="account-keys"),
    path("keys/new/", keys.new, name="account-keys-new"),
    path("keys/<uuid:key_id>/rotate/", keys.rotate, name="account-keys-rotate"),
    path("keys/<uuid:key_id>/revoke/", keys.revoke, name="account-keys-revoke"),
]
