"""How commands that run jobs import the library."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from faceloom import early
from faceloom.starting import importing


@contextmanager
def starting(*, with_worker: bool = False) -> Iterator[None]:
    """In here the library is imported by a command whose arithmetic other processes do, one of which can begin already.

    NumPy's linear algebra would start a thread for every core when it is imported, and clear memory for each.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if with_worker:
        early.begin()
    with importing():
        yield
