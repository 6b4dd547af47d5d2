"""What a stranger learns about who has an account: nothing."""

import json

import pytest
from django.contrib.auth.hashers import make_password

from accounts.models import User
from accounts.services import passwords
from audit.models import AuditRecord
from audit.services.acts import unwatched
from core.errors import InvalidInputError
from tests.accounts.factors import PASSWORD, with_app

pytestmark = pytest.mark.django_db(transaction=True)
WRONG = "wrong but long enough"


@pytest.fixture
def people(make_user):
    make_user(username="ann")
    with_app(make_user(username="factor"))
    make_user(username="gone", is_active=False)
    user = make_user(username="nopassword")
    with unwatched("a test"):
        User.objects.filter(pk=user.pk).update(password=make_password(None))


@pytest.fixture
def hashes(monkeypatch):
    """Count the hashes that are verified."""
    counted = []
    real = passwords.verify_password

    def verify(password, encoded):
        counted.append(password)
        return real(password, encoded)

    monkeypatch.setattr(passwords, "verify_password", verify)
    return counted


def heard(answer):
    """Return what of an answer tells something; ids and times differ by themselves."""
    body = {name: value for name, value in answer.json().items() if name != "request_id"}
    headers = {name for name in answer.headers if name != "X-Request-ID"}
    return answer.status_code, body, headers


def shape(record):
    return (
        record.action,
        record.outcome,
        record.actor_kind,
        record.target_type,
        record.reason,
        tuple(sorted(json.loads(record.payload))),
    )


NAMES = ("ann", "factor", "gone", "nopassword", "nobody", "\N{CYRILLIC SMALL LETTER A}nn")


@pytest.mark.parametrize("path", ["/api/auth/login"])
def test_a_wrong_password_is_answered_alike_for_whoever_it_is(api, people, hashes, path, settings):
    settings.OPS_LOCKOUT_ADDRESS_FAILURES = 1_000
    answers = {}
    counts = {}
    records = {}
    for name in NAMES:
        hashes.clear()
        answers[name] = heard(api.post(path, {"username": name, "password": WRONG}, format="json"))
        counts[name] = len(hashes)
        records[name] = shape(AuditRecord.objects.filter(action="session.refused").latest("id"))

    assert {str(answer) for answer in answers.values()} == {str(answers["nobody"])}
    assert answers["nobody"][0] == 401
    assert set(counts.values()) == {1}
    assert len(set(records.values())) == 1


def test_the_right_password_of_a_disabled_person_is_answered_as_a_wrong_one(api, people, hashes):
    answers = [
        heard(api.post("/api/auth/login", {"username": name, "password": PASSWORD}, format="json"))
        for name in ("gone", "nobody")
    ]

    assert str(answers[0]) == str(answers[1])
    assert len(hashes) == 2


def test_a_locked_name_is_answered_alike_whether_it_exists(api, people, settings):
    settings.OPS_LOCKOUT_ADDRESS_FAILURES = 1_000
    found = {}
    for name in ("ann", "nobody"):
        for _ in range(5):
            api.post("/api/auth/login", {"username": name, "password": WRONG}, format="json")
        answer = api.post("/api/auth/login", {"username": name, "password": WRONG}, format="json")
        found[name] = heard(answer)
        assert 890 <= int(answer.headers["Retry-After"]) <= 900

    assert found["ann"][0] == 429
    assert str(found["ann"]) == str(found["nobody"])


def test_the_page_says_the_same_too(client, people, settings):
    settings.OPS_LOCKOUT_ADDRESS_FAILURES = 1_000
    told = set()
    for name in NAMES:
        page = client.post("/admin/login/", {"username": name, "password": WRONG}).content.decode()
        told.add(page.split('id="refused"')[1].split("</div>")[0])

    assert len(told) == 1


@pytest.mark.parametrize(
    "other",
    [
        "ANN",
        "\N{FULLWIDTH LATIN SMALL LETTER A}nn",
        "\N{MATHEMATICAL BOLD SMALL A}nn",
        "a\N{LATIN SMALL LETTER N}\N{SUPERSCRIPT LATIN SMALL LETTER N}",
    ],
)
def test_another_spelling_is_the_same_person_and_cannot_be_taken(api, people, other):
    from accounts.services.users import create_user
    from core.actors import SYSTEM

    with pytest.raises(InvalidInputError):
        create_user(actor=SYSTEM, username=other)

    answer = api.post("/api/auth/login", {"username": other, "password": PASSWORD}, format="json")
    assert answer.status_code == 200
    assert User.objects.filter(username__contains="nn").count() == 1


def test_a_name_that_only_looks_alike_is_nobody(api, people):
    name = "\N{CYRILLIC SMALL LETTER A}nn"

    answer = api.post("/api/auth/login", {"username": name, "password": PASSWORD}, format="json")

    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"username":"ann","password":"a\\u0000b"}', "application/json"),
        (b'{"username":"a\\u0000nn","password":"a good long password"}', "application/json"),
        (b'{"username":"ann","password":"\xff\xfe"}', "application/json"),
        (b'{"username":"ann","password":"\\ud800"}', "application/json"),
        (b'{"username":"ann","password":"' + b"x" * 1_000_000 + b'"}', "application/json"),
        (b'{"username":"' + b"x" * 1_000_000 + b'","password":"x"}', "application/json"),
        (b'{"username":"ann","password":["a"]}', "application/json"),
        (b'{"username":"ann","password":""}', "application/json"),
        (b"[]", "application/json"),
    ],
)
def test_what_nobody_types_is_refused_before_any_hash(client, people, hashes, body, content_type):
    answer = client.post("/api/auth/login", body, content_type=content_type)

    assert answer.status_code == 400
    assert hashes == []


def test_the_page_refuses_it_too(client, people, hashes):
    for password in ("a\0b", "x" * 1_000_000):
        answer = client.post("/admin/login/", {"username": "ann", "password": password})
        assert answer.status_code == 200
        assert "ops_session" not in client.cookies
    assert hashes == []


def test_an_address_that_the_client_makes_up_is_not_believed(api, people):
    for number in range(6):
        answer = api.post(
            "/api/auth/login",
            {"username": f"name{number}", "password": WRONG},
            format="json",
            HTTP_X_FORWARDED_FOR=f"203.0.113.{number}, 198.51.100.{number}",
        )

    assert answer.status_code == 429
    assert "from your network" in answer.json()["detail"]


def test_oversized_headers_change_nothing(api, people):
    answer = api.post(
        "/api/auth/login",
        {"username": "ann", "password": PASSWORD},
        format="json",
        HTTP_USER_AGENT="x" * 60_000,
        HTTP_COOKIE="ops_device=" + "x" * 60_000,
    )

    assert answer.status_code == 200


@pytest.mark.parametrize("hops", [1, 2])
def test_behind_proxies_only_what_they_have_written_counts(api, people, settings, hops):
    """Each proxy appends what it saw; whatever stands further left the client made up."""
    settings.OPS_TRUSTED_PROXIES = hops
    inner = ["10.0.0.2"][: hops - 1]

    def attempt(name, password, *, came_from, made_up):
        chain = ", ".join([*made_up, came_from, *inner])
        return api.post(
            "/api/auth/login",
            {"username": name, "password": password},
            format="json",
            REMOTE_ADDR="10.0.0.1",
            HTTP_X_FORWARDED_FOR=chain,
        )

    for number in range(6):
        answer = attempt(
            f"name{number}",
            WRONG,
            came_from="203.0.113.7",
            made_up=["198.51.100.1", f"192.0.2.{number}", ""][: number % 4],
        )
    assert answer.status_code == 429
    assert "from your network" in answer.json()["detail"]
    assert {row.address for row in AuditRecord.objects.filter(action="session.refused")} == {
        "203.0.113.7"
    }

    # Neither the proxy nor whoever was named falsely has to wait.
    for address in ("198.51.100.1", "10.0.0.1"):
        answer = attempt("ann", PASSWORD, came_from=address, made_up=["203.0.113.7"])
        assert answer.status_code == 200
    assert attempt("ann", PASSWORD, came_from="203.0.113.7", made_up=[]).status_code == 429


@pytest.mark.parametrize("chain", ["", "203.0.113.9", "nonsense", ", ,", "a" * 5_000])
def test_a_chain_that_no_proxy_wrote_gives_way_to_the_peer(api, people, settings, chain):
    settings.OPS_TRUSTED_PROXIES = 2
    for number in range(6):
        answer = api.post(
            "/api/auth/login",
            {"username": f"name{number}", "password": WRONG},
            format="json",
            REMOTE_ADDR="192.0.2.77",
            HTTP_X_FORWARDED_FOR=chain,
        )

    assert answer.status_code == 429
    assert AuditRecord.objects.filter(action="session.refused").first().address == "192.0.2.77"
