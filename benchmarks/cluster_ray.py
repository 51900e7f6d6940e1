"""A run over nodes of Ray with a core each, all on this machine, for `cluster.py`; prints what it took as JSON."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

NODE_BYTES = 2 << 30
OBJECT_BYTES = 100 << 20


def main() -> None:
    inputs, out, nodes = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": OBJECT_BYTES})
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=1, memory=NODE_BYTES, object_store_memory=OBJECT_BYTES)
        os.environ["RAY_ADDRESS"] = cluster.address
        print(json.dumps(run(inputs, out)), flush=True)
    finally:
        ray.shutdown()
        cluster.shutdown()


def run(inputs: Path, out: Path) -> dict[str, Any]:
    """From the first commit to the last, so that nobody's start counts, and what the chunks took."""
    import faceloom
    from faceloom.store.rows import ChunkRows
    from faceloom.store.store import Store

    chunks: list[tuple[float, ChunkRows]] = []
    commit = Store.commit

    def watched(store: Store, rows: ChunkRows) -> None:
        commit(store, rows)
        chunks.append((time.monotonic(), rows))

    Store.commit = watched  # type: ignore[method-assign,assignment]
    faceloom.extract(inputs, out, size=64, memory=f"{NODE_BYTES}", cluster="auto")
    return {
        "span_s": chunks[-1][0] - chunks[0][0],
        "frames": sum(len(rows.frames) for _, rows in chunks),
        "processor_s": sum(rows.processor_s for _, rows in chunks),
        "clock_s": sum(rows.seconds for _, rows in chunks),
        "frame_s": [rows.processor_s / len(rows.frames) for _, rows in chunks],
    }


if __name__ == "__main__":
    main()
