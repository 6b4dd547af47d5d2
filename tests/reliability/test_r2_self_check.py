import pytest

from audit.models import AuditRecord
from reliability.models import Check, Service
from reliability.services import catalogue
from reliability.services.self_check import ensure_self_check

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _address(settings):
    settings.BASE_URL = "http://127.0.0.1:8000"


def test_the_platform_gets_one_check_of_its_own(settings):
    ensure_self_check()
    ensure_self_check()

    check = Check.objects.get()
    assert (check.service.name, check.url) == ("OpsPlatform", "http://127.0.0.1:8000/healthz")
    assert AuditRecord.objects.filter(action="check.created", actor_kind="system").count() == 1


def test_what_an_operator_deleted_does_not_come_back(operator):
    ensure_self_check()
    catalogue.delete_service(actor=operator, service_id=Service.objects.get().pk)

    ensure_self_check()

    assert (Service.objects.count(), Check.objects.count()) == (0, 0)


def test_the_check_follows_the_address_of_the_platform(settings):
    ensure_self_check()
    settings.BASE_URL = "http://127.0.0.1:9000/"

    ensure_self_check()

    assert Check.objects.get().url == "http://127.0.0.1:9000/healthz"


def test_a_url_that_an_operator_changed_is_left_alone(operator, settings):
    ensure_self_check()
    own = "http://127.0.0.1:8000/readyz"
    catalogue.update_check(actor=operator, check_id=Check.objects.get().pk, url=own)
    settings.BASE_URL = "http://127.0.0.1:9000"

    ensure_self_check()

    assert Check.objects.get().url == own


def test_a_service_of_that_name_is_used(make_service):
    service = make_service("opsplatform")

    ensure_self_check()

    assert Check.objects.get().service == service


def test_an_address_that_cannot_be_checked_is_logged_and_stops_nobody(settings, caplog):
    settings.BASE_URL = "http://169.254.169.254"

    ensure_self_check()

    assert Service.objects.count() == 0
    assert "cannot check itself" in caplog.text
