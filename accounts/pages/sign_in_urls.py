"""Routes of signing in; they come before those of the console, which has pages of these names."""

from django.urls import path
from django.views.generic import RedirectView

from accounts.pages import password, sign_in

urlpatterns = [
    path("login/", sign_in.sign_in),
    path("login/second-step/", sign_in.second_step, name="second-step"),
    path("login/passkey/", sign_in.by_passkey, name="passkey-sign-in"),
    path("login/passkey/begin/", sign_in.passkey_begin, name="passkey-begin"),
    path("password_change/", password.password),
    path("password_change/done/", RedirectView.as_view(pattern_name="account-password")),
]
