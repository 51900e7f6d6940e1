"""How busy the machine is."""

import os

BUSY = 0.75
"""Above this share, what is timed may be the work of others as well."""


def read_load() -> float:
    """How many programs wanted each core over the last minute; 0 where the system does not say."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except (AttributeError, OSError):
        return 0.0
