"""Dashboard keys that rotation made, and those that are denied (A7, S5)."""

import io
import json
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.utils import timezone

from accounts.authentication.dashboard_keys import find_dashboard_key
from accounts.models import AccessChange, DeniedDashKey
from accounts.roles import ROLES
from accounts.selectors import dashboard_keys as known_keys
from accounts.services import dashboard_keys
from audit.models import AuditRecord
from core.actors import SYSTEM
from core.crypto import keyed_digest
from core.errors import InvalidInputError, InvalidTransitionError, NotFoundError
from core.keyring import Keyring

pytestmark = pytest.mark.django_db
GIVEN = "a-dashboard-key-of-forty-characters-long"


def digest_of(key):
    return keyed_digest(django_settings.DASHBOARD_PEPPER, key)


def rotate(ring, *keys):
    """Write the versions of the secret, the newest last."""
    states = ["retired"] * (len(keys) - 2) + ["previous", "current"]
    versions = [
        {"v": number, "state": state, "created": "2026-01-01T00:00:00+00:00", "value": key}
        for number, (key, state) in enumerate(zip(keys, states[-len(keys) :], strict=True), start=1)
    ]
    with ring._locked():
        ring._write(known_keys.SECRET, versions)


@pytest.fixture
def ring(settings, tmp_path):
    settings.KEYRING = Keyring(tmp_path / "ring")
    return settings.KEYRING


def test_a_rotated_key_is_honoured_without_a_restart_and_the_old_one_for_its_grace(ring):
    first, second, third = ("k" + str(number) * 40 for number in range(3))
    assert find_dashboard_key(first) is None
    rotate(ring, first)
    assert find_dashboard_key(first).role == "analyst"
    rotate(ring, first, second)
    assert find_dashboard_key(first).role == find_dashboard_key(second).role == "analyst"
    rotate(ring, first, second, third)
    assert find_dashboard_key(first) is None
    assert find_dashboard_key(third).role == "analyst"


def test_a_file_that_another_process_replaces_is_read_within_five_seconds(ring, monkeypatch):
    rotate(ring, "k" * 40)
    assert find_dashboard_key("k" * 40) is not None
    rotate(Keyring(ring.folder), "k" * 40, "n" * 40)
    import core.keyring

    clock = core.keyring.time.monotonic
    monkeypatch.setattr(core.keyring.time, "monotonic", lambda: clock() + 5)
    assert find_dashboard_key("n" * 40) is not None


def test_a_new_version_has_the_role_of_the_key_it_replaces(ring, settings):
    settings.DASHBOARD_KEYS = ((digest_of(GIVEN), "operator"),)
    rotate(ring, GIVEN, "n" * 40)
    assert find_dashboard_key("n" * 40).role == "operator"
    assert find_dashboard_key(GIVEN).role == "operator"


def test_one_that_replaces_none_has_the_default_role(ring, settings):
    settings.OPS_DASHBOARD_KEY_ROLE = "auditor"
    rotate(ring, "n" * 40)
    assert find_dashboard_key("n" * 40).role == "auditor"


def test_a_denied_key_is_refused_although_roles_json_names_it(settings, api):
    settings.DASHBOARD_KEYS = ((digest_of(GIVEN), "auditor"),)
    assert api.get("/api/audit/", headers={"X-Dash-Key": GIVEN}).status_code == 200
    dashboard_keys.deny(actor=SYSTEM, fingerprint=digest_of(GIVEN).hex(), reason="leaked")
    assert api.get("/api/audit/", headers={"X-Dash-Key": GIVEN}).status_code == 401
    assert AccessChange.objects.get(kind="dashkey").value == digest_of(GIVEN).hex()
    dashboard_keys.allow(actor=SYSTEM, fingerprint=digest_of(GIVEN).hex(), reason="mistake")
    assert api.get("/api/audit/", headers={"X-Dash-Key": GIVEN}).status_code == 200
    assert list(
        AuditRecord.objects.filter(action__startswith="dashboard_key.")
        .exclude(action="dashboard_key.used")
        .order_by("id")
        .values_list("action", "reason")
    ) == [("dashboard_key.denied", "leaked"), ("dashboard_key.allowed", "mistake")]


def test_a_denial_begins_at_the_end_of_the_grace_period(settings):
    settings.DASHBOARD_KEYS = ((digest_of(GIVEN), "auditor"),)
    fingerprint = digest_of(GIVEN).hex()
    later = timezone.now() + timedelta(hours=24)
    dashboard_keys.deny(actor=SYSTEM, fingerprint=fingerprint, reason="", not_before=later)
    assert find_dashboard_key(GIVEN) is not None
    # Sooner replaces later, and not the other way round.
    dashboard_keys.deny(actor=SYSTEM, fingerprint=fingerprint, reason="leaked")
    assert find_dashboard_key(GIVEN) is None
    with pytest.raises(InvalidTransitionError):
        dashboard_keys.deny(actor=SYSTEM, fingerprint=fingerprint, reason="", not_before=later)
    assert find_dashboard_key(GIVEN) is None


def test_what_is_no_fingerprint_is_refused():
    with pytest.raises(InvalidInputError):
        dashboard_keys.deny(actor=SYSTEM, fingerprint=GIVEN, reason="")
    with pytest.raises(NotFoundError):
        dashboard_keys.allow(actor=SYSTEM, fingerprint="0" * 64, reason="")
    assert DeniedDashKey.objects.count() == 0


def test_a_key_in_use_costs_no_query(settings, django_assert_num_queries):
    settings.DASHBOARD_KEYS = ((digest_of(GIVEN), "auditor"),)
    find_dashboard_key(GIVEN)
    with django_assert_num_queries(0):
        assert find_dashboard_key(GIVEN) is not None


def test_each_key_has_a_rate_limit_of_its_own(settings, api):
    settings.DASHBOARD_KEYS = ((digest_of(GIVEN), "auditor"), (digest_of("x" * 40), "auditor"))
    settings.OPS_RATE_LIMIT = 5
    codes = [
        api.get(
            "/api/audit/", headers={"X-Dash-Key": GIVEN}, REMOTE_ADDR=f"192.0.2.{n}"
        ).status_code
        for n in range(7)
    ]
    assert codes == [200] * 5 + [429] * 2
    other = api.get("/api/audit/", headers={"X-Dash-Key": "x" * 40}, REMOTE_ADDR="192.0.2.99")
    assert other.status_code == 200


def test_the_page_shows_fingerprints_denies_and_accepts_again(settings, console, make_user):
    settings.DASHBOARD_KEYS = ((digest_of(GIVEN), "auditor"),)
    client = console(make_user(role="admin"))
    fingerprint = digest_of(GIVEN).hex()
    page = client.get("/admin/accounts/denieddashkey/").content.decode()
    assert fingerprint[:8] in page
    assert "ROLES_JSON" in page
    assert GIVEN not in page
    deny = f"/admin/accounts/denieddashkey/deny/{fingerprint}/"
    assert client.get(deny).status_code == 200
    assert DeniedDashKey.objects.count() == 0
    client.post(deny, {"reason": "leaked"})
    assert DeniedDashKey.objects.get().reason == "leaked"
    assert "leaked" in client.get("/admin/accounts/denieddashkey/").content.decode()
    client.post(f"/admin/accounts/denieddashkey/allow/{fingerprint}/")
    assert DeniedDashKey.objects.count() == 0
    assert client.get("/admin/accounts/denieddashkey/deny/" + "0" * 64 + "/").status_code == 404


def test_an_auditor_sees_the_keys_and_denies_none(settings, console, make_user):
    settings.DASHBOARD_KEYS = ((digest_of(GIVEN), "auditor"),)
    client = console(make_user(role="auditor"))
    assert client.get("/admin/accounts/denieddashkey/").status_code == 200
    assert (
        client.post(f"/admin/accounts/denieddashkey/deny/{digest_of(GIVEN).hex()}/").status_code
        == 403
    )
    assert client.get("/admin/accounts/denieddashkey/new/").status_code == 403
    assert DeniedDashKey.objects.count() == 0


def test_a_new_key_is_random_shown_once_and_kept_nowhere(console, make_user):
    client = console(make_user(role="admin"))
    page = client.post("/admin/accounts/denieddashkey/new/", {"role": "operator"})
    assert page.headers["Cache-Control"].startswith("no-store")
    assert "ROLES_JSON" in page.content.decode()
    assert (
        "There is no such role."
        in client.post("/admin/accounts/denieddashkey/new/", {"role": "emperor"}).content.decode()
    )


def test_the_command_makes_a_key_that_works_in_roles_json(settings):
    out = io.StringIO()
    call_command("make_dashboard_key", "operator", stdout=out)
    entry = json.loads(out.getvalue().split("anew: ")[1])
    ((key, role),) = entry.items()
    assert (len(key), role) == (48, "operator")
    settings.DASHBOARD_KEYS = ((digest_of(key), role),)
    found = find_dashboard_key(key)
    assert found.role == "operator"
    assert not any(found.has_perm(name) for name in ROLES["admin"] if name.startswith("accounts."))
