"""Which share of corrections is carried to an extraction with other detector settings.

    python benchmarks/carrying.py PICTURES

Every face that is found in the pictures is given to somebody, and that is carried to extractions of the same pictures
by others: of each the faces that are found there, those that are still somebody's, and what is told to be lost.
"""

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faceloom
from faceloom.events import NOT_CARRIED, Event, Notice

_OTHERS: Mapping[str, Mapping[str, Any]] = {
    "the same": {},
    "--min-score 0.3": {"min_score": 0.3},
    "--min-score 0.8": {"min_score": 0.8},
    "--detect-size 320": {"detect_size": 320},
    "--detect-size 1280": {"detect_size": 1280},
    "--detect centerface": {"detect": "centerface"},
}
_BARE: Mapping[str, Any] = {"chips": False, "mask": []}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", type=Path, nargs="+")
    given = parser.parse_args().pictures
    with tempfile.TemporaryDirectory() as place:
        base = Path(place) / "base"
        faceloom.extract(given, base, **_BARE)
        with faceloom.open(base) as results:
            faces = list(results)
        said = faceloom.corrections(base)
        for number, face in enumerate(faces):
            said.assign(face, f"person {number}")
        print("| other settings | faces there | carried | told to be lost |\n| --- | ---: | ---: | ---: |")
        for number, (name, options) in enumerate(_OTHERS.items()):
            heard: list[Event] = []
            out = Path(place) / str(number)
            faceloom.extract(given, out, corrections=base, on_event=heard.append, **_BARE, **options)
            with faceloom.open(out) as results:
                found, carried = len(results), sum(bool(face.person) for face in results)
            lost = sum(isinstance(one, Notice) and one.kind == NOT_CARRIED for one in heard)
            print(f"| {name} | {found} | {carried} of {len(faces)} ({carried / len(faces):.1%}) | {lost} |")


if __name__ == "__main__":
    main()
