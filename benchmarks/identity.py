"""How well identifiers tell people apart: every pair of the pictures of known people below `shared/data`.

    python benchmarks/identity.py [--identify dlib] [--identify sface] [--weights identify/arcface=FILE]

Prints a table of docs/accuracy.md: of pairs of one person how many are accepted at the identifier's own threshold, of
pairs of two people how many are, and the threshold at which one in a thousand of the latter is; then what
`faceloom group` makes of the faces.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import faceloom
from faceloom.errors import WeightsError
from faceloom.flow import find_plugin, plugin_names
from faceloom.geometry.linkage import average_linkage
from faceloom.identify import Identifier
from faceloom.options.written_values import settings_of

SET = Path(__file__).parents[2] / "shared/data/lfw_subset_krasserm/images"
_STRICT = 0.001

Settings: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Options of plugins by stage."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--identify", action="append", help="identifiers (default: all that can be had)")
    parser.add_argument("--weights", action="append", default=[], metavar="STAGE=FILE")
    parser.add_argument("--set", action="append", default=[], metavar="STAGE.OPTION=VALUE")
    chosen = parser.parse_args()
    weights = dict(item.split("=", 1) for item in chosen.weights)
    settings = settings_of(chosen.set)
    columns = ["identifier", "threshold", "true accepted", "false accepted"]
    columns += ["at 1 in 1,000 false: threshold, true accepted", "groups", "purity"]
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for name in chosen.identify or plugin_names("identify"):
        try:
            stage = f"identify/{name}"
            own = {stage: weights[stage]} if stage in weights else {}
            print(_row(name, own, {stage: settings[stage]} if stage in settings else {}))
        except (faceloom.RequestError, WeightsError) as error:
            print(f"| {name} | cannot be had: {error} |")
    return 0


def _row(name: str, weights: Mapping[str, str], settings: Settings) -> str:
    people, embeddings = _embeddings(name, weights, settings)
    same, other = pairs(people, embeddings)
    plugin = find_plugin("identify", name)
    assert issubclass(plugin, Identifier)
    threshold = plugin.same_person
    assert threshold is not None
    strict = float(np.quantile(other, 1 - _STRICT))
    return (
        f"| {name} | {threshold} | {_share(same, threshold)} | {_share(other, threshold)} |"
        f" {strict:.3f}, {_share(same, strict)} | {_groups(people, embeddings, threshold)} |"
    )


def _groups(people: list[str], embeddings: NDArray[np.float32], threshold: float) -> str:
    """What `faceloom group` makes of them: how many groups, and the share of faces that are of their group's person."""
    groups: dict[int, Counter[str]] = defaultdict(Counter)
    for person, label in zip(people, average_linkage(embeddings, threshold=threshold).tolist(), strict=True):
        groups[label][person] += 1
    pure = sum(max(counts.values()) for counts in groups.values())
    return f"{len(groups)} of {len(set(people))} people | {pure / len(people):.2%}"


def _share(cosines: NDArray[np.float64], threshold: float) -> str:
    return f"{(cosines >= threshold).mean():.2%} of {len(cosines)}"


def _embeddings(name: str, weights: Mapping[str, str], settings: Settings) -> tuple[list[str], NDArray[np.float32]]:
    """Who is on each picture, and the embedding of the face nearest to its middle."""
    found = list(_faces(name, weights, settings))
    return [person for person, _ in found], np.stack([embedding for _, embedding in found])


def _faces(name: str, weights: Mapping[str, str], settings: Settings) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for frame in faceloom.stream(SET, identify=name, weights=weights, settings=settings, mask=[]):
        middle = np.array(frame.image.shape[1::-1]) / 2
        distances = {
            id(face): float(np.linalg.norm(face.box.reshape(2, 2).mean(axis=0) - middle)) for face in frame.faces
        }
        for face in sorted(frame.faces, key=lambda face: distances[id(face)])[:1]:
            if face.embedding is not None:
                yield frame.id.source.partition("/")[0], face.embedding


def pairs(people: list[str], embeddings: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cosines of all pairs of one person, and of all pairs of two."""
    first, second = np.triu_indices(len(people), k=1)
    cosines = np.asarray((embeddings[first].astype(np.float64) * embeddings[second]).sum(axis=1))
    names = np.array(people)
    is_same = names[first] == names[second]
    return cosines[is_same], cosines[~is_same]


if __name__ == "__main__":
    raise SystemExit(main())
