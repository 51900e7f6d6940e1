from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from faceloom.media.sources import Source, SourceKind
from faceloom.messages import Probe, TryOut
from faceloom.supervisor.workers import WorkerPool


def picture(path: Path) -> Source:
    """A new picture."""
    PillowImage.fromarray(np.zeros((48, 64, 3), np.uint8)).save(path)
    return Source(name=path.name, path=path, kind=SourceKind.PICTURE)


def test_a_worker_that_has_looked_at_headers_alone_is_as_good_as_new(tmp_path: Path) -> None:
    sources = tuple(picture(tmp_path / f"{number}.jpg") for number in range(20))
    with WorkerPool() as pool:
        pool.start(1)
        (worker,) = pool.workers
        for _ in range(5):
            worker.send(Probe(sources))
            pool.receive()
            assert not pool.used
        worker.send(TryOut(sources[0]))
        pool.receive()
        assert pool.used == (worker,)


def test_a_worker_that_has_grown_while_it_looked_is_not_as_good_as_new(tmp_path: Path) -> None:
    source = picture(tmp_path / "one.jpg")
    with WorkerPool() as pool:
        pool.start(1)
        (worker,) = pool.workers
        worker.send(Probe((source,)))
        pool.receive()
        gone = (
            Source(name=f"{number:0200}", path=tmp_path / "none", kind=SourceKind.PICTURE) for number in range(20_000)
        )
        worker.send(Probe(tuple(gone)))
        pool.receive()
        assert pool.used == (worker,)
