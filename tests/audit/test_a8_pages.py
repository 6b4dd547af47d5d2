"""The log as people and programs read it: pages, filters, exports with proof (A8)."""

import csv
import hashlib
import io
import json

import pytest
from django.urls import reverse

from audit.models import AuditLink, AuditRecord, AuditVerification
from audit.services import verification
from audit.services.acts import act
from audit.services.records import record, record_refusal
from audit.services.seal import seal_all
from core import tracing
from core.actors import SYSTEM, Actor

pytestmark = pytest.mark.django_db

LIST = "/admin/audit/auditrecord/"


def page(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, answer
    return answer.content.decode()


@pytest.fixture
def auditor(console, make_user):
    return console(make_user(role="auditor"))


def test_a_record_shows_what_changed_and_its_proof(auditor, make_user):
    user = make_user()
    with act():
        row = record(
            actor=SYSTEM,
            action="user.updated",
            target=user,
            before={"email": "old@example.com", "roles": ["user"]},
            after={"email": "new@example.com", "roles": ["user"], "note": "<b>"},
        )
    seal_all()
    text = page(auditor, f"{LIST}{row.pk}/change/")
    assert "<del>old@example.com</del>" in text
    assert "<ins>new@example.com</ins>" in text
    assert "<ins>&lt;b&gt;</ins>" in text
    assert '<th scope="row">Roles' not in text
    link = AuditLink.objects.get(pk=row.pk)
    assert f"Sealed, seq {link.seq:,}" in text
    assert bytes(link.digest).hex() in text
    assert f"target={user.pk}" in text


def test_everything_of_one_actor_stands_on_one_page(auditor):
    mine, other = Actor.command("mine"), Actor.command("other")
    for number in range(60):
        record(actor=mine, action=f"thing.done{number:02}")
    record(actor=other, action="thing.hidden")
    first = page(auditor, f"{LIST}timeline/?actor_kind=command&actor=mine")
    assert "thing.done59" in first
    assert "thing.done09" not in first
    assert "thing.hidden" not in first
    before = AuditRecord.objects.get(action="thing.done10").pk
    assert f"before={before}" in first
    older = page(auditor, f"{LIST}timeline/?actor_kind=command&actor=mine&before={before}")
    assert "thing.done09" in older
    assert "thing.done10" not in older


def test_a_timeline_of_nothing_says_so(auditor):
    assert "No act is on the record" in page(auditor, f"{LIST}timeline/?target=nobody")


def test_the_state_of_the_chain_is_told(auditor):
    record(actor=SYSTEM, action="thing.done")
    assert "Nothing sealed yet" in page(auditor, LIST)
    verification.perform_daily()
    text = page(auditor, LIST)
    assert "records sealed" in text
    assert "Sound" in text
    assert "Verify now" in page(auditor, f"{LIST}verification/")


def test_a_verification_can_be_asked_for(auditor, sent, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = auditor.post(f"{LIST}verify/")
    assert answer.headers["Location"] == reverse("admin:audit_auditrecord_verification")
    job = AuditVerification.objects.get()
    assert sent == [("audit.run_verification", {"job_id": str(job.pk)})]
    auditor.post(f"{LIST}verify/")
    assert AuditVerification.objects.count() == 1
    assert verification.perform(job_id=str(job.pk))
    assert not verification.perform(job_id=str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.findings, job.verdict) == ("done", [], "sound")


def test_the_signed_head_can_be_taken_along(auditor):
    assert auditor.get(f"{LIST}head.json").status_code == 404
    with act():
        record(actor=SYSTEM, action="thing.done")
    seal_all()
    head = auditor.get(f"{LIST}head.json").json()
    assert verification.verify(head=head).findings == []


@pytest.mark.parametrize("path", ["", "timeline/", "verification/", "head.json"])
def test_who_may_not_read_the_log_sees_no_page(console, make_user, path):
    client = console(make_user(role="operator"))
    assert client.get(f"{LIST}{path}").status_code == 403
    assert client.post(f"{LIST}verify/").status_code == 403
    assert AuditVerification.objects.count() == 0


def test_each_filter_of_the_api_finds_its_rows(api, make_user):
    with tracing.bind(address="192.0.2.1", session="s1", request_id="r" * 16):
        record(actor=SYSTEM, action="user.created", reason="Green tea")
    record_refusal(actor=SYSTEM, action="session.refused", reason="Wrong password.")
    api.force_authenticate(make_user("audit.view_auditrecord"))

    def found(**query):
        answer = api.get("/api/audit/", query)
        assert answer.status_code == 200, answer.content
        return [row["action"] for row in answer.json()["results"]]

    assert found(action="user.") == ["user.created"]
    assert found(category="auth") == ["session.refused"]
    assert found(address="192.0.2.1") == found(session="s1") == ["user.created"]
    assert found(q="tea green") == ["user.created"]
    assert found(since="2100-01-01T00:00:00Z") == found(until="2000-01-01") == []
    assert api.get("/api/audit/", {"since": "yesterday"}).status_code == 400


def export(api, **query):
    answer = api.get("/api/audit/export/", query)
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode()


def test_an_export_carries_its_proof_and_is_on_the_record(api, make_user):
    with act():
        record(actor=SYSTEM, action="thing.done", reason="=1+1", count=3)
    api.force_authenticate(make_user("audit.view_auditrecord", "audit.export_auditrecord"))
    [line] = export(api, action="thing.").splitlines()
    row = json.loads(line)
    assert (row["action"], row["details"], row["seq"]) == ("thing.done", {"count": 3}, 1)
    assert row["digest"] == bytes(AuditLink.objects.get(seq=1).digest).hex()
    told = AuditRecord.objects.get(action="list.exported")
    assert json.loads(told.payload) == {
        "form": "jsonl",
        "list": "audit.AuditRecord",
        "query": "action=thing.",
        "rows": 1,
    }
    [cells] = csv.DictReader(io.StringIO(export(api, form="csv", action="thing.")))
    assert (cells["reason"], cells["seq"], cells["details"]) == ("'=1+1", "1", '{"count":3}')
    assert api.get("/api/audit/export/", {"form": "xml"}).status_code == 400


def test_an_export_needs_its_right(api, make_user):
    api.force_authenticate(make_user("audit.view_auditrecord"))
    assert api.get("/api/audit/export/").status_code == 403
    assert AuditRecord.objects.count() == 0


def test_the_api_tells_the_head_with_its_public_key(api, make_user):
    api.force_authenticate(make_user("audit.view_auditrecord"))
    assert api.get("/api/audit/head/").status_code == 404
    with act():
        record(actor=SYSTEM, action="thing.done")
    seal_all()
    head = api.get("/api/audit/head/").json()
    assert head["size"] == 1
    assert hashlib.sha256(bytes.fromhex(head["public_key"])).hexdigest()[:16] == head["key_id"]
