"""The round that an open store is in: which run asks, and what it does again in place of frames that are pending."""

from dataclasses import dataclass

from faceloom.store.again import given_up, to_do


@dataclass(slots=True, kw_only=True)
class Round:
    """One for all parts of an open store, which changes it when a run begins, and when that run turns to another."""

    run_id: int = 0
    stages: tuple[str, ...] = ()
    """What is done again, as `again` names it; nothing: frames that are pending are done."""
    look: int = 0
    """The number of the second look that this is; 0: it is none."""

    @property
    def to_do(self) -> str:
        """The condition that a frame is still to be done."""
        return to_do(self.stages) if self.stages else "status = 'pending'"

    @property
    def given_up(self) -> str:
        """The condition that what is done again could not be done to a frame."""
        return given_up(self.stages) if self.stages else "0"
