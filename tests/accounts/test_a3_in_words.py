"""What a session is called, and how it was proven, in words."""

import pytest

from accounts.engine.devices import name_of
from accounts.engine.proofs import in_words

_CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) "
_PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "


@pytest.mark.parametrize(
    ("device", "user_agent", "name"),
    [
        ("CI runner", "curl/8.5.0", "CI runner"),
        ("", f"{_CHROME}Chrome/126.0.0.0 Safari/537.36", "Chrome on Windows"),
        ("", f"{_CHROME}Chrome/126.0.0.0 Safari/537.36 Edg/126.0", "Edge on Windows"),
        ("", f"{_MAC}Version/17.5 Safari/605.1.15", "Safari on macOS"),
        ("", f"{_PHONE}Version/17.5 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        ("", "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Firefox/127.0", "Firefox on Linux"),
        ("", "Mozilla/5.0 (Linux; Android 14) Chrome/126.0 Mobile Safari/537", "Chrome on Android"),
        ("", "curl/8.5.0", "curl"),
        ("", "python-requests/2.32.3", "python-requests"),
        ("", "Mozilla/5.0 (compatible)", "Unknown device"),
        ("", "<script>alert(1)</script>", "Unknown device"),
        ("", "", "Unknown device"),
    ],
)
def test_a_client_has_a_name(device, user_agent, name):
    assert name_of(device, user_agent) == name


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        ("pwd", "password"),
        ("pwd,otp,mfa", "password and app"),
        ("pwd,hwk,mfa", "password and passkey"),
        ("pwd,recovery,mfa", "password and recovery code"),
        ("pwd,otp,mfa,hwk", "password, app and passkey"),
        ("hwk,user,mfa", "passkey"),
        ("", "unknown"),
    ],
)
def test_proofs_in_words(methods, words):
    assert in_words(methods.split(",")) == words
