"""Which errors of the system mean that a disk takes nothing more; whoever meets one stops and says so."""

from __future__ import annotations

import errno
from typing import Final

# Full, over quota, limited, read-only, broken, or not ours to write.
_TAKES_NOTHING: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM}
)


def takes_nothing(error: OSError) -> bool:
    """Tell whether the disk is why; a lost connection is an OSError too."""
    return error.errno in _TAKES_NOTHING
