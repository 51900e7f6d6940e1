"""Presets: what other options are where nobody says. One line each, and the reasons in docs/accuracy.md."""

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": {"detect_size": 640},
    "standard": {"rotate": "auto"},
    "best": {
        "rotate": "auto",
        "detect": "yunet_n",
        "min_score": 0.65,
        "enlarge": 1.2,
        "align": ("facemesh_v2", "pfld"),
        "normalize": "mean",
        "mask": ("components", "extended", "face"),
        "settings": {"mask/extended": {"lift": 0.34, "depth": 0.4, "narrow": 0.2}},
    },
}
_OF_DETECTORS = frozenset({"detect", "detect_size", "enlarge", "min_score", "rotate"})
_OF_ALIGNERS = frozenset({"align", "mask", "normalize"})


def preset(name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a preset says of options, but for those that are given, or make no sense beside what is given.

    That is what is told to detectors where faces are known, the least score of a detector where another is chosen, and
    what is made of landmarks where there are none.
    """
    told = {option: value for option, value in PRESETS[name].items() if option not in given}
    if given.get("aligned") or given.get("detect") == "import":
        told = {option: value for option, value in told.items() if option not in _OF_DETECTORS}
    if "detect" in given:
        told.pop("min_score", None)
    if "align" in given and given["align"] in (None, (), [], "none", ["none"], ("none",)):
        told = {option: value for option, value in told.items() if option not in _OF_ALIGNERS}
    if "mask" not in told:
        told.pop("settings", None)
    return told
