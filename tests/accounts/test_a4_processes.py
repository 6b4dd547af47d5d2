"""A hundred at once, over processes, with the real hash: five are judged, or all pass."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from django.db import connection

from accounts.hashers import BoundedArgon2Hasher
from accounts.models import User
from tests.accounts.factors import PASSWORD, code_of, with_app

pytestmark = pytest.mark.django_db(transaction=True)
PROGRAM = Path(__file__).with_name("attackers.py")


@pytest.fixture
def ann(make_user):
    user = make_user(username="ann")
    encoded = BoundedArgon2Hasher().encode(PASSWORD, "salt-of-sixteen-b")
    User.objects.filter(pk=user.pk).update(password=encoded)
    return user


@pytest.fixture
def at_once():
    """Return a function that lets processes try at once; it returns outcomes and hashes."""
    running = []

    def run(how, given, *, processes, each):
        name = connection.settings_dict["NAME"]
        running.extend(
            subprocess.Popen(
                [sys.executable, str(PROGRAM), how, str(each), given],
                env={**os.environ, "TEST_DATABASE": str(name)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(processes)
        )
        for process in running:
            assert process.stdout.readline() == "ready\n"
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        told = [json.loads(process.stdout.readline()) for process in running]
        outcomes = [tuple(outcome) for one in told for outcome in one["outcomes"]]
        return outcomes, sum(one["verified"] for one in told)

    yield run
    for process in running:
        process.kill()
        process.communicate()


def test_of_a_hundred_wrong_ones_at_once_five_are_verified(ann, at_once):
    outcomes, verified = at_once("password", "wrong but long enough", processes=5, each=20)

    counted = Counter(outcome for outcome, _ in outcomes)
    assert verified == 5
    assert counted == {"not-authenticated": 5, "locked": 95}


def test_a_hundred_right_ones_at_once_all_pass(ann, at_once):
    outcomes, verified = at_once("password", PASSWORD, processes=5, each=20)

    assert Counter(outcome for outcome, _ in outcomes) == {"in": 100}
    assert verified == 100


def test_of_one_code_in_two_processes_at_once_one_is_accepted(ann, at_once):
    seed = with_app(ann)

    outcomes, _ = at_once("code", code_of(seed), processes=2, each=10)

    assert Counter(outcome for outcome, _ in outcomes) == {"in": 1, "mfa-refused": 19}
