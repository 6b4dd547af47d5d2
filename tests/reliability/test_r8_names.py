"""Each thing has one name wherever the console tells of it (R8)."""

import pytest

from reliability.models import SLO, Heartbeat, HeartbeatPing, MaintenanceWindow, Sample
from reliability.services import catalogue

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("model", "one", "many"),
    [
        (SLO, "objective", "objectives"),
        (Sample, "result", "results"),
        (HeartbeatPing, "report", "reports"),
        (MaintenanceWindow, "maintenance", "maintenance"),
    ],
)
def test_models_have_the_names_of_the_navigation(model, one, many):
    assert (str(model._meta.verbose_name), str(model._meta.verbose_name_plural)) == (one, many)


@pytest.mark.parametrize("page", ["slo", "heartbeatping", "maintenancewindow"])
def test_lists_tell_of_nothing_else(page, console, make_user):
    content = console(make_user(role="admin")).get(f"/admin/reliability/{page}/").content.decode()

    for old in ("SLOs", "Add SLO", "heartbeat ping", "maintenance window", "Maintenance window"):
        assert old not in content


def test_a_heartbeat_is_called_like_its_check(make_service, operator):
    service = make_service(name="Web shop")
    check = catalogue.create_check(
        actor=operator, service_id=service.pk, kind="heartbeat", name="Often"
    )

    assert str(Heartbeat.objects.get(pk=check.pk)) == "Web shop: Often"
