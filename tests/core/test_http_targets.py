import pytest

from core.addresses import Allow, Policy
from core.targets import InvalidTargetError, RefusedTargetError, check_url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.org/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//example.org/",
        "example.org",
        "http://",
        "http:///path",
        "http://user:secret@example.org/",
        "http://user@example.org/",
        "http://@example.org/",
        "http://example.org\\@169.254.169.254/",
        "http://example.org/\x00",
        "http://example.org/\ud800",
        "http://example.org/\u202e",
        "http://example.org/\r\nHost: other",
        "http://exa mple.org/",
        "http://example.org:0/",
        "http://example.org:65536/",
        "http://example.org:http/",
        "http://[::1/",
        "http://2852039166/",
        "http://0251.0376.0251.0376/",
        "http://0xa9.0xfe.0xa9.0xfe/",
        "http://0xa9fea9fe/",
        "http://169.254.43518/",
        "http://127.1/",
        "http://127.0.0.1.:80/",
        "http://169.254.169.254./",
        "http://example.org/" + "x" * 2000,
    ],
)
def test_what_is_no_plain_web_address_is_refused(url):
    with pytest.raises(InvalidTargetError):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "https://example.org:8443/health?deep=1",
        "http://127.0.0.1:8000/healthz",
        "http://[::1]:8000/",
        "http://büro.example/",
        "http://0x.example/",
        "http://10.example/",
        "http://example.org./",
    ],
)
def test_plain_web_addresses_pass(url):
    assert check_url(url).raw_host


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:169.254.169.254]", "[fe80::1]"])
def test_literal_metadata_addresses_are_refused_before_any_connection(host):
    with pytest.raises(RefusedTargetError, match="OPS_OUTGOING_ALLOW"):
        check_url(f"http://{host}/", policy=Policy.MONITOR)


def test_a_literal_private_address_needs_an_exception_for_outbound():
    with pytest.raises(RefusedTargetError, match="outbound"):
        check_url("http://10.0.0.7/hook", policy=Policy.OUTBOUND)

    assert check_url(
        "http://10.0.0.7/hook", policy=Policy.OUTBOUND, allow=Allow.parse(["10.0.0.7:80"])
    )
