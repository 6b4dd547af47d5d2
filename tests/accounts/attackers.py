"""Processes that sign in at once, each with the real hash; run as a program.

`attackers.py <how> <times> <password>` waits for a line on stdin, then tries in threads and writes
one JSON line: how each try ended, and how many hashes were verified.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["DJANGO_SETTINGS_MODULE"] = "opsplatform.settings.test"

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.hashers import get_hashers, get_hashers_by_algorithm  # noqa: E402
from django.db import connection  # noqa: E402

from accounts.engine.webauthn import party  # noqa: E402
from accounts.hashers import BoundedArgon2Hasher  # noqa: E402
from accounts.models import User  # noqa: E402
from accounts.services import login, mfa, totp  # noqa: E402
from core import tracing  # noqa: E402
from core.errors import BusyError  # noqa: E402

settings.PASSWORD_HASHERS = ["accounts.hashers.BoundedArgon2Hasher"]
get_hashers.cache_clear()
get_hashers_by_algorithm.cache_clear()
if name := os.environ.get("TEST_DATABASE"):
    connection.close()
    connection.settings_dict["NAME"] = name

verified = []
_verify = BoundedArgon2Hasher.verify


def counted(self, password, encoded):
    """Verify, and count it."""
    verified.append(password)
    return _verify(self, password, encoded)


BoundedArgon2Hasher.verify = counted


def by_password(given):
    """Try a password."""
    login.attempt(username="ann", password=given, place="login", rp=party("http://localhost:8000"))


def by_code(given):
    """Try a code of an app."""
    user = User.objects.get(username="ann")
    if not totp.verify(user=user, code=given):
        message = "refused"
        raise mfa.CodeRefusedError(message)


def main():
    """Try, all threads at once."""
    how, times, given = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    tries = {"password": by_password, "code": by_code}[how]
    outcomes = []

    def work(number):
        began = time.perf_counter()
        with tracing.bind(address=f"10.{os.getpid() % 250}.{number // 250}.{number % 250}"):
            outcome = "busy"
            # Whoever is told to come back does, as Retry-After says.
            while outcome == "busy":
                try:
                    tries(given)
                    outcome = "in"
                except BusyError as error:
                    time.sleep(error.retry_after)
                except Exception as error:  # noqa: BLE001  # told by its name
                    outcome = getattr(error, "code", f"{type(error).__name__}: {error}")
        outcomes.append((outcome, time.perf_counter() - began))
        connection.close()

    User.objects.exists()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = {"outcomes": outcomes, "verified": len(verified)}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


main()
