from faceloom.messages import Probe
from faceloom.supervisor.workers import WorkerPool


def test_a_member_that_has_looked_once_is_as_good_as_new_and_not_after_that() -> None:
    with WorkerPool() as pool:
        pool.start(1)
        (worker,) = pool.workers
        worker.send(Probe(()))
        pool.receive()
        assert not pool.used
        worker.send(Probe(()))
        pool.receive()
        assert pool.used == (worker,)
