"""From which cosine on an identifier takes two faces for one person's."""

from faceloom.flow import find_plugin
from faceloom.identify import Identifier


def same_person_of(stage: str) -> float | None:
    """The threshold of an identifier's own, such as `identify/dlib` has; None if it states none.

    Raises:
        RequestError: there is no such plugin.
    """
    plugin = find_plugin(*stage.split("/", 1))
    return plugin.same_person if issubclass(plugin, Identifier) else None
