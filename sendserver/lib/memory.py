"""The memory of a process that shall stay small: what glibc's malloc keeps, and when it gives back."""

from __future__ import annotations

import ctypes
from typing import Final

# glibc's malloc.h: arenas, and the size from which free memory at the end of the heap goes back at once.
_M_TRIM_THRESHOLD, _M_ARENA_MAX = -1, -8
ARENAS: Final = 1  # by default each thread gets its own, and keeps what its largest moment needed
TRIM_OCTETS: Final = 128 * 1024


def save() -> None:
    """Tell the C library to share one heap and to give back what is free; another library than glibc goes on as is."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS)
        mallopt(_M_TRIM_THRESHOLD, TRIM_OCTETS)


def give_back() -> None:
    """Have the C library give back the free pages inside its heap as well, where it can; a few milliseconds."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
