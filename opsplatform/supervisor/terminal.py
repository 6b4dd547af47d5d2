"""Tell the operator something, without depending on anybody listening."""

import sys


def say(text: str) -> None:
    """Write a line to the terminal.

    A closed pipe or a full disk behind it is no reason to stop watching services.
    """
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except (OSError, ValueError):
        return
