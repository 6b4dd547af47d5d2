"""A packer that dies in the middle: rows are taken out, and no chunk is in yet, or half of them.

Run as `python -m tests.support.dying_packer <now> <stage>`; it kills itself.
"""

import os
import signal
import sys
from datetime import datetime


def main() -> None:
    """Pack what is old, as far as the stage: taken, stored or joined."""
    import django

    django.setup()
    from core import leases
    from reliability.services import packing, rollups

    def die(*_given: object, **_named: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    leases.release_of_the_dead()
    stage = sys.argv[2]
    if stage == "taken":
        packing._fill = die  # type: ignore[assignment]  # what a kill at this moment does
    elif stage == "stored":
        rollups.add_to_days = die  # type: ignore[assignment]  # the same
    else:
        packing._join = die  # type: ignore[assignment]  # the same
    packing.run(now=datetime.fromisoformat(sys.argv[1]))


if __name__ == "__main__":
    main()
