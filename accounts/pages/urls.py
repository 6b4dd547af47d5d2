"""Routes of one's own account, below /account/."""

from django.urls import path

from accounts.pages import keys, profile, sessions

urlpatterns = [
    path("", profile.profile, name="account"),
    path("sessions/", sessions.session_list, name="account-sessions"),
    path("sessions/end-others/", sessions.end_others, name="account-sessions-end-others"),
    path("sessions/<uuid:sid>/end/", sessions.end, name="account-sessions-end"),
    path("keys/", keys.key_list, name="account-keys"),
    path("keys/new/", keys.new, name="account-keys-new"),
    path("keys/<uuid:key_id>/rotate/", keys.rotate, name="account-keys-rotate"),
    path("keys/<uuid:key_id>/revoke/", keys.revoke, name="account-keys-revoke"),
]
