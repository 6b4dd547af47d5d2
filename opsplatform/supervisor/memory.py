"""Have the C library give large blocks back to the system."""

import ctypes
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8


def return_large_blocks() -> None:
    """Set glibc's allocator: blocks of 1 MiB and more are mapped apart, and few arenas exist.

    A password hash takes 19 MiB; without this each request thread's arena keeps such a block for
    good. Call it before threads start. Other C libraries have no such call and stay as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 20)
        mallopt(_M_ARENA_MAX, 2)
