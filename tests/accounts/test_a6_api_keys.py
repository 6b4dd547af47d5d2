"""API keys: made, judged, rotated and revoked (A6)."""

import json
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from accounts import signals
from accounts.authentication.api_keys import principal_of, uses
from accounts.models import AccessChange, APIKey
from accounts.scopes import permissions_of
from accounts.services import api_keys, users
from accounts.services.networks import AddressRefusedError
from audit.models import AuditRecord
from audit.services.acts import unwatched
from core import crypto
from core.actors import SYSTEM
from core.errors import InvalidInputError, InvalidTransitionError, NotFoundError

pytestmark = pytest.mark.django_db
HERE = "192.0.2.1"


@pytest.fixture
def owner(make_user):
    return make_user(role="engineer", username="ada")


def make(owner, **fields):
    given = {"label": "CI", "scopes": ["reliability:read"], **fields}
    return api_keys.create(actor=SYSTEM, owner_id=owner.pk, **given)


def age(key, **fields):
    with unwatched("set-up of a test"):
        APIKey.objects.filter(pk=key.pk).update(**fields)
    api_keys.remembered.forget()


def test_the_key_is_stored_as_a_keyed_digest_and_never_in_the_audit_log(owner):
    key, raw = make(owner)
    pepper = settings.KEYRING.current("API_KEY_PEPPER")
    assert key.digest == crypto.keyed_digest(pepper, raw).hex()
    assert key.pepper_id == crypto.key_id(pepper)
    row = AuditRecord.objects.get(action="api_key.created")
    assert raw not in row.payload
    assert raw[17:] not in row.payload
    assert json.loads(row.payload)["after"]["scopes"] == ["reliability:read"]


def test_it_holds_for_90_days_unless_told_otherwise(owner):
    key, _ = make(owner)
    assert abs(key.expires_at - timezone.now() - timedelta(days=90)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"days": 0}, "days"),
        ({"days": 366}, "days"),
        ({"label": "  "}, "label"),
        ({"label": "x" * 81}, "label"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["accounts:write"]}, "scopes"),
        ({"scopes": ["audit:read"]}, "scopes"),
        ({"scopes": ["reliability:resolve"]}, "scopes"),  # sees incidents, and resolves none
        ({"networks": ["10.0.0.1/8"]}, "networks"),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_no_key(owner, fields, named):
    with pytest.raises(InvalidInputError) as refused:
        make(owner, **fields)
    assert list(refused.value.errors) == [named]
    assert APIKey.objects.count() == 0


def test_it_may_do_what_scopes_and_owner_both_allow(owner):
    _, raw = make(owner, scopes=["reliability:write"])
    principal = principal_of(raw, HERE)
    assert principal.has_perm("reliability.delete_check")
    assert not principal.has_perm("reliability.run_uptimetest")
    assert not principal.has_perm("accounts.add_apikey")
    assert (principal.pk, principal.owner_id) == (f"apikey/{raw[4:16]}", owner.pk)


def test_it_loses_at_once_what_its_owner_loses(owner, make_user):
    make_user(role="admin")
    _, raw = make(owner, scopes=["reliability:write"])
    assert principal_of(raw, HERE).has_perm("reliability.add_service")
    users.update_user(actor=SYSTEM, user_id=owner.pk, email="", roles=["operator"], is_active=True)
    found = principal_of(raw, HERE)
    assert found.has_perm("reliability.view_service")
    assert not found.has_perm("reliability.add_service")


def test_a_key_of_a_disabled_owner_is_nobody(owner):
    _, raw = make(owner)
    assert principal_of(raw, HERE) is not None
    users.disable_user(actor=SYSTEM, user_id=owner.pk)
    assert principal_of(raw, HERE) is None
    users.enable_user(actor=SYSTEM, user_id=owner.pk)
    assert principal_of(raw, HERE) is not None


def test_a_revoked_an_expired_and_an_invented_key_are_nobody(owner):
    key, raw = make(owner)
    other, other_raw = make(owner)
    assert principal_of(raw, HERE) is not None
    api_keys.revoke(actor=SYSTEM, key_id=key.pk)
    age(other, expires_at=timezone.now() - timedelta(seconds=1))
    assert principal_of(raw, HERE) is None
    assert principal_of(other_raw, HERE) is None
    assert principal_of(api_keys.key_format.make()[1], HERE) is None
    assert AccessChange.objects.filter(kind="apikey", value=key.key_id).count() == 1


def test_the_same_id_with_another_secret_is_nobody(owner):
    _, raw = make(owner)
    body = raw[:17] + raw[17:60][::-1]
    forged = body + api_keys.key_format._checksum(body)
    assert principal_of(forged, HERE) is None


def test_a_malformed_key_costs_no_query(owner, django_assert_num_queries):
    _, raw = make(owner)
    with django_assert_num_queries(0):
        assert principal_of(raw[:-1] + "0", HERE) is None
        assert principal_of("ops_" + "x" * 62, HERE) is None
        assert principal_of("ops_\0" + "é" * 61, HERE) is None


def test_its_own_networks_decide_and_a_foreign_one_is_403_on_the_record(owner, api):
    _, raw = make(owner, networks=["198.51.100.0/24", "2001:db8::/32"])
    assert principal_of(raw, "198.51.100.7") is not None
    assert principal_of(raw, "::ffff:198.51.100.7") is not None
    with pytest.raises(AddressRefusedError):
        principal_of(raw, HERE)
    answer = api.get("/api/services/", headers={"X-Api-Key": raw})
    assert (answer.status_code, answer.json()["type"][-15:]) == (403, "address-refused")
    assert AuditRecord.objects.filter(action="address.refused", outcome="denied").exists()


def test_rotation_leaves_the_old_key_valid_for_the_grace_period(owner):
    old, old_raw = make(owner, days=10)
    new, raw = api_keys.rotate(actor=SYSTEM, key_id=old.pk, owner_id=owner.pk, grace_hours=2)
    old.refresh_from_db()
    assert new.rotated_from_id == old.pk
    assert (new.label, new.scopes) == (old.label, old.scopes)
    assert abs(old.expires_at - timezone.now() - timedelta(hours=2)) < timedelta(minutes=1)
    assert abs(new.expires_at - timezone.now() - timedelta(days=10)) < timedelta(minutes=1)
    assert principal_of(old_raw, HERE) is not None
    assert principal_of(raw, HERE) is not None
    with pytest.raises(InvalidTransitionError):
        api_keys.rotate(actor=SYSTEM, key_id=old.pk, owner_id=owner.pk)


def test_rotation_without_grace_ends_the_old_key_at_once(owner):
    old, old_raw = make(owner)
    api_keys.rotate(actor=SYSTEM, key_id=old.pk, owner_id=owner.pk, grace_hours=0)
    assert principal_of(old_raw, HERE) is None


@pytest.mark.parametrize("hours", [-1, 169])
def test_a_grace_period_beyond_a_week_is_refused(owner, hours):
    old, _ = make(owner)
    with pytest.raises(InvalidInputError):
        api_keys.rotate(actor=SYSTEM, key_id=old.pk, owner_id=owner.pk, grace_hours=hours)
    assert APIKey.objects.count() == 1


def fill_up(owner):
    """Give the owner as many keys as anybody may hold; return one of them."""
    key, _ = make(owner)
    rows = [
        APIKey(
            key_id=f"filler{number:06}",
            digest=key.digest,
            pepper_id=key.pepper_id,
            owner=owner,
            label="filler",
            scopes=["reliability:read"],
            expires_at=key.expires_at,
        )
        for number in range(api_keys.MOST_KEYS - 1)
    ]
    with unwatched("set-up of a test"):
        APIKey.objects.bulk_create(rows)
    return key


def test_rotation_does_not_lead_beyond_the_most_keys_that_anybody_may_hold(owner):
    key = fill_up(owner)
    for act in (
        lambda: make(owner),
        lambda: api_keys.rotate(actor=SYSTEM, key_id=key.pk, owner_id=owner.pk),
    ):
        with pytest.raises(InvalidInputError, match="more than 100 keys"):
            act()
    assert APIKey.objects.count() == api_keys.MOST_KEYS
    # One for one is no key more.
    api_keys.rotate(actor=SYSTEM, key_id=key.pk, owner_id=owner.pk, grace_hours=0)
    assert APIKey.objects.valid().count() == api_keys.MOST_KEYS


def test_keys_that_have_expired_make_room_for_new_ones(owner):
    age(fill_up(owner), expires_at=timezone.now() - timedelta(minutes=1))
    make(owner)
    assert APIKey.objects.valid().count() == api_keys.MOST_KEYS


def test_nobody_rotates_or_revokes_the_key_of_another_owner(owner, make_user):
    stranger = make_user(role="engineer")
    key, raw = make(owner)
    with pytest.raises(NotFoundError):
        api_keys.rotate(actor=SYSTEM, key_id=key.pk, owner_id=stranger.pk)
    with pytest.raises(NotFoundError):
        api_keys.revoke(actor=SYSTEM, key_id=key.pk, owner_id=stranger.pk)
    assert principal_of(raw, HERE) is not None


def test_a_rotated_pepper_keeps_keys_and_reseals_them_when_they_are_seen(owner):
    key, raw = make(owner)
    ring = settings.KEYRING
    before = ring._versions(api_keys.PEPPER)
    now = timezone.now().isoformat()
    rotated = [
        {**before[0], "state": "previous"},
        {"v": 2, "state": "current", "created": now, "value": "another pepper " * 4},
    ]
    try:
        with ring._locked():
            ring._write(api_keys.PEPPER, rotated)
        assert principal_of(raw, HERE) is not None
        key.refresh_from_db()
        assert key.pepper_id == crypto.key_id("another pepper " * 4)
        assert AuditRecord.objects.filter(action="api_key.resealed").count() == 1
        assert principal_of(raw, HERE) is not None
        assert AuditRecord.objects.filter(action="api_key.resealed").count() == 1
    finally:
        with ring._locked():
            ring._write(api_keys.PEPPER, before)


def test_last_use_is_written_together_and_never_backwards(owner, django_assert_num_queries):
    key, raw = make(owner)
    with django_assert_num_queries(4):  # the key once, and its owner's rights once
        for _ in range(10):
            principal_of(raw, HERE)
    key.refresh_from_db()
    assert key.last_used_at is None
    uses.write()
    key.refresh_from_db()
    assert key.last_used_address == HERE
    used = key.last_used_at
    api_keys.write_uses({key.key_id: (used.timestamp() - 60, "198.51.100.1")})
    key.refresh_from_db()
    assert (key.last_used_at, key.last_used_address) == (used, HERE)


def test_owners_are_warned_once_at_14_3_and_1_days(owner, django_capture_on_commit_callbacks):
    told = []

    def listen(**facts):
        told.append((facts["label"], facts["days"]))

    signals.api_key_expiring.connect(listen)
    try:
        key, _ = make(owner, label="soon")
        make(owner, label="later")
        for left in (15, 13.5, 13, 2.5, 0.5, 0.4):
            age(key, expires_at=timezone.now() + timedelta(days=left))
            with django_capture_on_commit_callbacks(execute=True):
                api_keys.warn_expiring(actor=SYSTEM)
    finally:
        signals.api_key_expiring.disconnect(listen)
    assert told == [("soon", 14), ("soon", 3), ("soon", 1)]


def test_a_key_that_was_replaced_is_not_warned_of(owner):
    old, _ = make(owner)
    api_keys.rotate(actor=SYSTEM, key_id=old.pk, owner_id=owner.pk)
    assert api_keys.warn_expiring(actor=SYSTEM) == 0


def test_unused_keys_end_after_90_days_if_asked(owner):
    long_ago = timezone.now() - timedelta(days=91)
    idle, _ = make(owner, label="idle", revoke_unused=True)
    used, _ = make(owner, label="used", revoke_unused=True)
    kept, _ = make(owner, label="kept")
    for key in (idle, used, kept):
        age(key, created_at=long_ago)
    age(used, last_used_at=timezone.now())
    assert api_keys.revoke_unused(actor=SYSTEM) == 1
    assert list(APIKey.objects.ended()) == [idle]
    assert APIKey.objects.get(pk=idle.pk).revoked_reason == "Not used for 90 days."


def test_scopes_that_are_known_no_more_grant_nothing():
    assert permissions_of(["reliability:dance"]) == frozenset()
