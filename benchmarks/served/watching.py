"""A process that follows the feed of access: tells when it first knew that a session had ended."""

from __future__ import annotations

import json
import sys
import time

_LONGEST_SECONDS = 60.0
_LOOK_SECONDS = 0.001


def main() -> None:
    """Tell `ready`, watch until so many sessions have ended, then tell when each was known."""
    import django

    django.setup()
    from accounts.selectors import access

    wanted = int(sys.argv[1])
    known: dict[str, float] = {}
    access.fresh()
    before = set(access.standing.sessions)
    print("ready", flush=True)
    stop_at = time.monotonic() + _LONGEST_SECONDS
    while len(known) < wanted and time.monotonic() < stop_at:
        access.fresh()
        now = time.time()
        for sid in access.standing.sessions - before - known.keys():
            known[sid] = now
        time.sleep(_LOOK_SECONDS)
    print(json.dumps(known), flush=True)


if __name__ == "__main__":
    main()
