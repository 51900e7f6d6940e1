"""The configuration that a result folder is held to: stages with their options and weights, and what is written."""

import hashlib
import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from faceloom.choices import Crop
from faceloom.errors import RequestError
from faceloom.geometry.chips import Framing
from faceloom.store.again import Again
from faceloom.store.database import transaction
from faceloom.store.soundness import sound

_MOST_PX = 1 << 14
RESULTS = "results"
"""Key of a configuration: the version of the arithmetic by which its faces are found."""

LOOKS = "looks"
"""Key of a configuration: the detectors of its second looks, in order. No look is asked for by going on."""

SHARD = "shard"
"""Key of a configuration: the part of the inputs that the folder is for, as in 2/7; none: all."""


SMOOTH = "smooth"
"""Key of a configuration: whether the folder shows faces in tracks as they are steady; left out: it does not."""


INTERPOLATED = "interpolated"
"""The same: whether faces have chips that nothing was seen of."""


class Configuration:
    """The configuration of an open store."""

    def __init__(self, db: sqlite3.Connection, folder: Path, again: Again) -> None:
        self._db = db
        self._folder = folder
        self._again = again

    def use(self, config: Mapping[str, Any]) -> None:
        """Holds the folder to one configuration: the first run's.

        Raises:
            RequestError: the folder was made with another; the message shows the difference.
        """
        here = self.now
        if here is None:
            with transaction(self._db):
                self._set(config)
        else:
            self._require_same({**here, LOOKS: None}, {**config, LOOKS: None})

    @property
    def now(self) -> dict[str, Any] | None:
        """The folder's configuration; None before its first run."""
        row = self._db.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()
        if row is None:
            return None
        with sound(self._folder):
            return parse_config(row[0])

    def hold_to(self, config: Mapping[str, Any]) -> None:
        """Holds the folder to one configuration, second looks included: that of whatever was first put into it.

        Raises:
            RequestError: it is another; the message shows the difference.
        """
        here = self.now
        if here is not None:
            self._require_same(here, config)
            return
        with transaction(self._db):
            self._set(config)

    def add_stages(self, described: Mapping[str, Any]) -> list[str]:
        """Adds stages to the configuration; the faces that there are miss them from now on. Those that are new.

        Raises:
            RequestError: a stage is there already, with other options or weights; or a second identifier is asked for.
        """
        here = self.now or {"stages": {}}
        self._require_same({k: v for k, v in here["stages"].items() if k in described}, described, missing=True)
        new = [stage for stage in described if stage not in here["stages"]]
        identifiers = [stage for stage in (*here["stages"], *new) if stage.startswith("identify/")]
        if len(identifiers) > 1:
            raise RequestError(f"{self._folder} has embeddings of {identifiers[0]}, and a face has one: extract anew")
        if new:
            with transaction(self._db):
                self._set({**here, "stages": {**here["stages"], **described}})
                self._again.add_stages(new)
        return new

    def take_back(self, stages: Collection[str]) -> None:
        """Undoes the adding of stages that no face has got."""
        here = self.now or {"stages": {}}
        kept = {stage: options for stage, options in here["stages"].items() if stage not in stages}
        with transaction(self._db):
            self._set({**here, "stages": kept})
            self._again.drop_stages(stages)

    def use_look(self, config: Mapping[str, Any]) -> int:
        """The number of the second look that a configuration's detector is; it is added to the folder's if it is new.

        Raises:
            RequestError: the folder was made with another configuration otherwise, or by this detector.
        """
        here = self.now
        if here is None:
            raise RequestError(f"{self._folder} holds no results yet; run the command without --only-empty first")
        self._require_same(_without_detector(here), _without_detector(config))
        look = _detector(json.loads(json.dumps(config)))
        if look == _detector(here):
            raise RequestError(f"{', '.join(look)} has found none there; name another detector, or other options")
        looks = here.get(LOOKS, [])
        if look not in looks:
            with transaction(self._db):
                self._set({**here, LOOKS: [*looks, look]})
        return [*looks, look].index(look) + 1

    def _set(self, config: Mapping[str, Any]) -> None:
        text = json.dumps(config, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        rows = [("config", text), ("config_sha256", digest)]
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def _require_same(self, here: Mapping[str, Any], asked: Mapping[str, Any], *, missing: bool = False) -> None:
        """Refuses what differs; `missing`: but for what is not here at all."""
        told = json.loads(json.dumps(asked))
        before, now = here.get(RESULTS), told.get(RESULTS)
        if before is not None and now is not None and before != now:
            raise RequestError(
                f"{self._folder} was made by a faceloom that finds slightly different faces (version {before!r:.20} of "
                f"the results, here {now}), and one folder holds one kind; choose another --out to find all anew, or "
                f"go on with the faceloom that made it. What the folder holds can be shown and exported as ever"
            )
        found = differences(here, {k: v for k, v in told.items() if k in here} if missing else told)
        if found:
            lines = "\n".join(f"  {where}: {one} in the folder, {other} asked for" for where, one, other in found)
            message = (
                f"{self._folder} was made with another configuration, and one folder holds one:\n{lines}\n"
                f"choose another --out, or ask for the same again"
            )
            raise RequestError(message)


def parse_config(text: Any) -> dict[str, Any]:
    """The configuration that a text of a store says.

    Raises:
        ValueError: it says none that a run could have written.
    """
    told = json.loads(text)
    if not isinstance(told, dict):
        raise ValueError("its configuration is none")
    stages, looks, chips = told.get("stages", {}), told.get(LOOKS, []), told.get("chips")
    tables = [stages, *looks] if isinstance(looks, list) else [None]
    is_sound = (
        all(isinstance(table, dict) and all(isinstance(one, dict) for one in table.values()) for table in tables)
        and ("mask_size" not in told or is_size(told["mask_size"]))
        and ("mask_size" in told or not stages)
        and (chips is None or (isinstance(chips, dict) and is_size(chips.get("size"))))
        and told.get("crop", Crop.HEAD) in set(Crop)
        and isinstance(told.get("level", True), bool)
    )
    if not is_sound:
        raise ValueError("its configuration is none that a run could have written")
    return told


def config_in(db: sqlite3.Connection) -> dict[str, Any]:
    """The configuration in an open store; empty before the first run."""
    config = db.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()
    return parse_config(config[0]) if config else {}


def framing_of(config: Mapping[str, Any]) -> Framing:
    """The square that the chips of a result folder show."""
    crop, level = Crop(config.get("crop", Crop.HEAD)), config.get("level", True)
    return Framing(crop, level=level, is_frame=config.get("aligned", False))


def is_size(value: Any) -> bool:
    """Whether a value can be the side of a picture that we write, in pixels."""
    return type(value) is int and 0 < value <= _MOST_PX


def _detector(config: Mapping[str, Any]) -> dict[str, Any]:
    return {stage: options for stage, options in config["stages"].items() if stage.startswith("detect/")}


def _without_detector(config: Mapping[str, Any]) -> dict[str, Any]:
    """All of a configuration but what finds faces."""
    stages = {stage: options for stage, options in config["stages"].items() if not stage.startswith("detect/")}
    return {**{key: value for key, value in config.items() if key not in {LOOKS, "import"}}, "stages": stages}


def differences(here: Any, asked: Any, *, where: str = "") -> Sequence[tuple[str, str, str]]:
    """Where two configurations differ, and what each says there as JSON."""
    if isinstance(here, dict) and isinstance(asked, dict):
        keys = sorted({*here, *asked})
        return [
            found
            for key in keys
            for found in differences(here.get(key), asked.get(key), where=f"{where}.{key}" if where else str(key))
        ]
    return [] if here == asked else [(where, json.dumps(here), json.dumps(asked))]
