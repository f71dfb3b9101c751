"""Settings of the training process that C libraries read once, when it starts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_KEEP_BYTES = str(32 * 1024**3)

PROCESS_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        # glibc gives large buffers back to the kernel and faults them in again at every step, unless told to keep
        # those below a size.
        "MALLOC_MMAP_THRESHOLD_": _KEEP_BYTES,
        "MALLOC_TRIM_THRESHOLD_": _KEEP_BYTES,
        # OpenMP threads spin while they wait; on a shared machine that slows down the thread waited for.
        "OMP_WAIT_POLICY": "passive",
    }
)
