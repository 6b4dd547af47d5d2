"""A database belongs to one keyring; another one is refused until it is adopted."""

import pytest

from accounts.models import Installation
from accounts.services.installations import claim
from audit.models import AuditRecord
from core.actors import SYSTEM
from core.errors import NotConfiguredError
from core.keyring import Keyring

pytestmark = pytest.mark.django_db


def test_the_first_start_claims_and_later_ones_agree():
    claim(actor=SYSTEM)
    claimed = Installation.objects.get().keyring_id
    claim(actor=SYSTEM)
    assert len(claimed) == 8
    assert Installation.objects.get().keyring_id == claimed
    assert AuditRecord.objects.filter(action="keyring.adopted").count() == 1


def test_another_keyring_is_refused_and_says_what_to_do(settings, tmp_path):
    claim(actor=SYSTEM)
    claimed = Installation.objects.get().keyring_id
    settings.KEYRING = Keyring(tmp_path / "runtime")
    with pytest.raises(NotConfiguredError, match="OPS_KEYRING_DIR"):
        claim(actor=SYSTEM)
    assert Installation.objects.get().keyring_id == claimed


def test_a_new_keyring_is_adopted_on_demand_and_on_the_record(settings, tmp_path):
    claim(actor=SYSTEM)
    claimed = Installation.objects.get().keyring_id
    settings.KEYRING = Keyring(tmp_path / "runtime")
    claim(actor=SYSTEM, adopt=True)
    assert Installation.objects.get().keyring_id != claimed
    assert claimed in AuditRecord.objects.filter(action="keyring.adopted").first().payload
