"""Files of checks are taken over as a whole, or not at all."""

import pytest

from audit.models import AuditRecord
from core.errors import InvalidInputError
from reliability.engine import exchange as files
from reliability.models import Check, Heartbeat, Service
from reliability.selectors import exchange as read
from reliability.services import catalogue, exchange
from reliability.services.exchange_plan import plan

CSV = """service,service_tier,name,kind,url,host,port,interval_seconds,tags,enabled
Shop,critical,Home,http,https://shop.example.com/,,,30,"web, front",yes
Shop,,Database,tcp,,db.example.com,5432,60,,no
Ledger,,,,,,,,,
"""
YAML = """
version: 1
services:
  - name: Shop
    tier: critical
    is_public: true
    checks:
      - name: 404
        kind: http
        url: https://shop.example.com/missing
        accept: 404
        assertions:
          - {source: json, path: /count, comparison: equals, value: 0}
      - name: Nightly
        tags: [jobs]
        heartbeat:
          schedule: cron
          cron: 30 2 * * *
          time_zone: Europe/Berlin
          grace_seconds: 600
"""


def rows(text, form="yaml"):
    return exchange.rows_of(text.encode(), form)


def verdicts(made):
    return [(line.number, line.service, line.check, line.verdict.value) for line in made.lines]


def whole(form):
    """Return what is exported now."""
    if form == "csv":
        return "".join(files.write_csv(read.rows(), read.COLUMNS))
    return "".join(files.write_yaml(read.services()))


def test_a_table_becomes_services_and_checks(db, operator):
    made = exchange.take_over(actor=operator, rows=rows(CSV, "csv"))

    assert verdicts(made) == [
        (2, "Shop", "", "added"),
        (2, "Shop", "Home", "added"),
        (3, "Shop", "Database", "added"),
        (4, "Ledger", "", "added"),
    ]
    shop = Service.objects.get(name="Shop")
    assert (shop.tier, shop.environment) == ("critical", "production")
    home, database = shop.checks.order_by("pk")
    assert (home.url, home.interval_seconds, home.tags) == (
        "https://shop.example.com/",
        30,
        ["web", "front"],
    )
    assert (database.kind, database.host, database.port, database.enabled) == (
        "tcp",
        "db.example.com",
        5432,
        False,
    )
    assert list(
        AuditRecord.objects.exclude(action__startswith="slo.")
        .order_by("pk")
        .values_list("action", flat=True)
    ) == ["service.created", "service.created", "check.created", "check.created", "checks.imported"]


def test_yaml_becomes_services_checks_and_heartbeats(db, operator):
    exchange.take_over(actor=operator, rows=rows(YAML))

    missing = Check.objects.get(kind="http")
    assert (missing.name, missing.accept) == ("404", "404")
    assert missing.assertions == [
        {"source": "json", "path": "/count", "comparison": "equals", "value": 0}
    ]
    beat = Heartbeat.objects.get()
    assert (beat.check_of.name, beat.check_of.kind) == ("Nightly", "heartbeat")
    assert (beat.schedule, beat.cron, beat.time_zone, beat.grace_seconds) == (
        "cron",
        "30 2 * * *",
        "Europe/Berlin",
        600,
    )


@pytest.mark.parametrize("form", ["csv", "yaml"])
def test_what_was_exported_changes_nothing_and_builds_the_same_elsewhere(db, operator, form):
    exchange.take_over(actor=operator, rows=rows(YAML))
    exchange.take_over(actor=operator, rows=rows(CSV, "csv"))
    catalogue.update_service(
        actor=operator, service_id=Service.objects.get(name="Ledger").pk, owner="=1+1"
    )
    text = whole(form)

    again = exchange.take_over(actor=operator, rows=rows(text, form))

    assert again.counts == {"added": 0, "changed": 0, "left": 5, "refused": 0}
    for service in Service.objects.all():
        catalogue.delete_service(actor=operator, service_id=service.pk)
    made = exchange.take_over(actor=operator, rows=rows(text, form))
    assert made.counts == {"added": 6, "changed": 0, "left": 0, "refused": 0}
    assert whole(form) == text


def test_only_what_differs_is_changed(db, operator):
    exchange.take_over(actor=operator, rows=rows(CSV, "csv"))
    text = CSV.replace(",30,", ",45,").replace("critical", "standard")

    made = exchange.take_over(actor=operator, rows=rows(text, "csv"))

    assert [(line.check, line.verdict.value, line.text) for line in made.lines] == [
        ("", "changed", "tier critical → standard"),
        ("Home", "changed", "interval_seconds 30 → 45"),
        ("Database", "left", ""),
        ("", "left", ""),
    ]
    assert Check.objects.get(name="Home").interval_seconds == 45


def test_a_plan_writes_nothing(db, operator, django_assert_num_queries):
    made = plan(rows(CSV, "csv"))

    assert made.counts == {"added": 4, "changed": 0, "left": 0, "refused": 0}
    assert Service.objects.count() == Check.objects.count() == AuditRecord.objects.count() == 0


def test_one_bad_line_refuses_the_whole_file(db, operator):
    text = CSV.replace(",5432,", ",70000,").replace("db.example.com", "db example")

    with pytest.raises(InvalidInputError) as refused:
        exchange.take_over(actor=operator, rows=rows(text, "csv"))

    assert list(refused.value.errors) == ["line 3"]
    (told,) = refused.value.errors["line 3"]
    assert told.startswith("Shop: Database: host: Give a name such as db.example.com")
    assert "port: " in told
    assert Service.objects.count() == Check.objects.count() == AuditRecord.objects.count() == 0


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("service,colour\nShop,red", "there is no field “colour”"),
        ("service,headers\nShop,x", "headers are secrets and stand in no file"),
        ("service,url,enabled\nShop,http://a.example/,maybe", "enabled must be yes or no"),
        ("service,url,interval_seconds\nShop,http://a.example/,1e9", "must be a whole number"),
        ("service,url,interval_seconds\nShop,http://a.example/,5", "greater than or equal to 10"),
        ("service,url,assertions\nShop,http://a.example/,{", "assertions is no JSON"),
        ("service,kind\nShop,http", "url: A check of this kind needs it"),
        ("service,kind,name\nShop,magic,x", "is not a valid choice"),
        ("service,kind\nShop,heartbeat", "a heartbeat needs a name"),
        ("service,kind,url,heartbeat_cron\nShop,http,http://a.example/,* * * * *", "a rhythm"),
        ("service,name,kind,heartbeat_cron\nShop,x,heartbeat,never", "cron"),
        ("service,url\n,http://a.example/", "the service has no name"),
        ("service,url,parents\nShop,http://a.example/,Shop: nothing", "there is no parent"),
    ],
)
def test_a_line_that_cannot_be_used_says_why(db, lines, text):
    made = plan(rows(lines, "csv"))

    (refused,) = made.refused
    assert refused.number == 2
    assert text in refused.text


def test_the_same_check_twice_is_refused(db):
    text = "service,name,url\nShop,Home,http://a.example/\nshop,HOME,http://b.example/"

    (refused,) = plan(rows(text, "csv")).refused

    assert (refused.number, refused.text) == (3, "the same check stands on line 2")


def test_a_service_that_differs_from_itself_is_refused(db):
    text = (
        "service,service_tier,url\nShop,critical,http://a.example/\nShop,standard,http://b.example/"
    )

    (refused,) = plan(rows(text, "csv")).refused

    assert (refused.number, refused.text) == (3, "tier of the service differs from line 2")


def test_checks_of_one_name_cannot_be_told_apart(make_service, make_check):
    shop = make_service("Shop")
    for path in "ab":
        make_check(f"http://a.example/{path}", service=shop, name="Home")

    (refused,) = plan(rows("service,name,enabled\nShop,Home,no", "csv")).refused

    assert refused.text == "the service has 2 checks of this name; give each its own first"


def test_a_check_without_a_name_is_known_by_its_target(db, operator):
    text = "service,url,interval_seconds\nShop,http://a.example/,60"
    exchange.take_over(actor=operator, rows=rows(text, "csv"))

    made = exchange.take_over(actor=operator, rows=rows(text.replace(",60", ",90"), "csv"))

    assert made.counts == {"added": 0, "changed": 1, "left": 0, "refused": 0}
    assert Check.objects.get().interval_seconds == 90


def test_headers_and_tokens_leave_in_no_file(make_check, db, operator):
    make_check("https://a.example/", headers={"Authorization": "Bearer tell-nobody"}, name="x")
    exchange.take_over(actor=operator, rows=rows(YAML))
    token = str(Heartbeat.objects.get().token)

    for form in ("csv", "yaml"):
        text = whole(form)
        assert "tell-nobody" not in text
        assert "headers" not in text
        assert token not in text


def test_headers_stay_when_a_check_is_changed_by_a_file(make_check, make_service, operator):
    service = make_service("Shop")
    make_check("https://a.example/", service=service, name="x", headers={"X-Key": "a"})

    exchange.take_over(
        actor=operator, rows=rows("service,name,interval_seconds\nShop,x,120", "csv")
    )

    check = Check.objects.get()
    assert (check.interval_seconds, check.headers) == (120, {"X-Key": "a"})


CIRCLES = {
    "itself": "Shop,a,http://a.example/,Shop: a\n",
    "two": "Shop,a,http://a.example/,shop:  B\nShop,b,http://b.example/,Shop: a\n",
    "through one that is there": "Shop,a,http://a.example/,Old: y\n",
}


@pytest.mark.parametrize("lines", CIRCLES.values(), ids=CIRCLES)
def test_a_circle_of_parents_is_seen_by_the_dry_run(db, operator, lines):
    old = catalogue.create_service(actor=operator, name="Old")
    shop = catalogue.create_service(actor=operator, name="Shop")
    is_old = lines == CIRCLES["through one that is there"]
    if is_old:
        a = catalogue.create_check(
            actor=operator, service_id=shop.pk, name="a", url="http://a.example/"
        )
        x = {"service_id": old.pk, "url": "http://x.example/"}
        middle = catalogue.create_check(actor=operator, name="x", parents=[a.pk], **x)
        catalogue.create_check(actor=operator, name="y", parents=[middle.pk], **x)
    before = Check.objects.count()
    rows = files.read("service,name,url,parents\n" + lines, "csv")

    refused = plan(rows).refused
    assert refused[0].text == "it would depend on itself: one of its parents depends on it"
    with pytest.raises(InvalidInputError):
        exchange.take_over(actor=operator, rows=rows)
    assert Check.objects.count() == before


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999", "9223372036854775808", "7" * 5000])
def test_numbers_that_no_database_holds_are_refused_by_the_dry_run(db, value):
    condition = f'[{{""source"":""latency_ms"",""comparison"":""less"",""value"":{value}}}]'
    text = f'service,name,url,assertions\nShop,a,http://a.example/,"{condition}"\n'

    (refused,) = plan(files.read(text, "csv")).refused

    assert refused.text == "assertions is no JSON"
