"""Ways to damage the audit log that a person with rights on the database has."""

import contextlib

from django.db import connection, transaction

from audit.models import AuditLink, AuditRecord
from audit.services import guards
from audit.services.acts import act
from audit.services.records import record
from audit.services.seal import seal_all
from core.actors import SYSTEM


def fill(count, *, batches=1, start=0):
    """Write and seal records, in so many seals."""
    for batch in range(batches):
        with act():
            for number in range(count):
                record(actor=SYSTEM, action="thing.done", number=start + batch * count + number)
        seal_all()


@contextlib.contextmanager
def unguarded():
    """Take the guards away and put them back, so that only the damage itself can be found."""
    with transaction.atomic():
        guards.open_log()
        yield
        guards.install()


def run(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def record_at(seq):
    return AuditLink.objects.get(seq=seq).record_id


def edit(seq, column="reason", value="something else"):
    sql = f"UPDATE audit_auditrecord SET {column} = %s WHERE id = %s"  # noqa: S608  # a column
    run(sql, value, record_at(seq))


def delete(seq):
    run("DELETE FROM audit_auditrecord WHERE id = %s", record_at(seq))


def delete_whole(seq):
    delete(seq)
    run("DELETE FROM audit_auditlink WHERE seq = %s", seq)


def swap(one, other):
    """Exchange what two records say."""
    names = [
        field.column
        for field in AuditRecord._meta.concrete_fields
        if field.column not in {"id", "xid"}
    ]
    first, second = record_at(one), record_at(other)
    rows = {
        key: AuditRecord.objects.filter(pk=key).values_list(*names).get() for key in (first, second)
    }
    for key, values in ((first, rows[second]), (second, rows[first])):
        AuditRecord.objects.filter(pk=key).update(**dict(zip(names, values, strict=True)))


def swap_links(one, other):
    """Exchange the places of two records."""
    run("UPDATE audit_auditlink SET seq = -1 WHERE seq = %s", one)
    run("UPDATE audit_auditlink SET seq = %s WHERE seq = %s", one, other)
    run("UPDATE audit_auditlink SET seq = %s WHERE seq = -1", other)


def truncate(after, *, heads=True):
    """Cut the end off: records, links and, unless told otherwise, heads."""
    run(
        "DELETE FROM audit_auditrecord WHERE id IN "
        "(SELECT record_id FROM audit_auditlink WHERE seq > %s)",
        after,
    )
    run("DELETE FROM audit_auditlink WHERE seq > %s", after)
    if heads:
        run("DELETE FROM audit_auditcheckpoint WHERE size > %s", after)


def rechain():
    """Compute the whole chain anew, as somebody would who read the documentation."""
    from audit.engine.chain import GENESIS, digest_of, next_chain
    from audit.selectors.chain import links

    current, changed = GENESIS, []
    for page in links(0, 2**62):
        for seq, key, _, _, hashed in page:
            raw = hashed if isinstance(hashed, bytes) else hashed.encode()
            digest = digest_of(raw)
            current = next_chain(current, seq, key, digest)
            changed.append((digest, current, key))
    for digest, link, key in changed:
        AuditLink.objects.filter(pk=key).update(digest=digest, chain=link)
    return current
