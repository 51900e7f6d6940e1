"""Replaying: what corrections make of faces, as if each of them that is not undone were said again, in order."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from faceloom.store.corrections import Said, Verb

BY_HAND = "hand"
"""Why a face is rejected that somebody rejected, and how its reason begins if one was told."""


@dataclass(slots=True, eq=False)
class _Called:
    """Some who are called the same, and from now on always will be."""

    name: str
    now: "_Called | None" = None
    """Those whom they have become one with."""

    def last(self) -> "_Called":
        """Who they are in the end; the way there is short the next time."""
        end = self
        while end.now is not None:
            end = end.now
        one = self
        while one.now is not None:
            one.now, one = end, one.now
        return end


class Namings:
    """Whose faces are, as far as anybody said: of faces one by one, and of all that `faceloom group` took for one."""

    def __init__(self, found_person: Callable[[int], str | None]) -> None:
        self._found_person = found_person
        self._called: dict[str, _Called] = {}
        self._faces: dict[int, _Called | None] = {}
        self._aliases: dict[str, _Called] = {}
        self.parted: set[int] = set()
        """Faces that are nobody's only since they are not somebody's."""
        self.apart: list[tuple[int, int]] = []
        """Two faces that are of two persons, each."""

    @property
    def faces(self) -> dict[int, str | None]:
        """Whose a face is of which somebody spoke, by row number; None: nobody's."""
        return {face: None if one is None else one.last().name for face, one in self._faces.items()}

    @property
    def aliases(self) -> dict[str, str]:
        """What persons are called now, by the names that `faceloom group` gave them, of faces of which nobody spoke."""
        return {found: one.last().name for found, one in self._aliases.items()}

    @property
    def names(self) -> frozenset[str]:
        """All whom anybody gave a name, a face or another person."""
        return frozenset(self._called)

    def of(self, face: int) -> str | None:
        """Whose a face is."""
        if face in self._faces:
            one = self._faces[face]
            return None if one is None else one.last().name
        found = self._found_person(face)
        return self._aliases[found].last().name if found in self._aliases else found

    def assign(self, faces: Sequence[int], person: str | None) -> None:
        """From now on they are this person's."""
        one = None if person is None else self._called.setdefault(person, _Called(person))
        self._faces |= dict.fromkeys(faces, one)
        self.parted.difference_update(faces)

    def rename(self, person: str, name: str) -> None:
        """All who are called so now are called otherwise, with those who are called that already."""
        if person == name:
            return
        some = self._called.pop(person, None) or _Called(person)
        self._aliases.setdefault(person, some)
        others = self._called.get(name)
        if others is None:
            some.name = name
            self._called[name] = some
        else:
            some.now = others

    def unite(self, faces: Sequence[int]) -> None:
        """The persons of faces become the first of them; a face that was nobody's is theirs."""
        persons = [self.of(face) for face in faces]
        first = next((person for person in persons if person is not None), None)
        if first is None:
            return
        self.assign([face for face, person in zip(faces, persons, strict=True) if person is None], first)
        for person in dict.fromkeys(persons):
            if person is not None:
                self.rename(person, first)

    def part(self, faces: Sequence[int]) -> None:
        """Of faces that pass for one person's, only the first stays; who the others are is for the next grouping."""
        self.apart += itertools.combinations(faces, 2)
        there: set[str] = set()
        for face in faces:
            person = self.of(face)
            if person in there:
                self.assign([face], None)
                self.parted.add(face)
            elif person is not None:
                there.add(person)


@dataclass(slots=True)
class Replayed:
    """What holds of faces, by row number, that is not what was found."""

    people: Namings
    rejected: dict[int, str | None] = field(default_factory=dict)
    """Why a face is rejected; None: it is not."""
    boxes: dict[int, Sequence[float]] = field(default_factory=dict)
    landmarks: dict[int, Sequence[Sequence[float]]] = field(default_factory=dict)
    masks: dict[int, dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    """By the face and the mask's name."""


def replay(corrections: Iterable[tuple[Said, Sequence[int]]], *, found_person: Callable[[int], str | None]) -> Replayed:
    """What corrections make of what was found.

    Args:
        corrections: those that hold, in the order in which they were said, each with the row numbers of its faces that
            are there.
        found_person: whom `faceloom group` took a face for.
    """
    now = Replayed(Namings(found_person))
    for said, faces in corrections:
        _apply(now, said, faces)
    return now


def _apply(now: Replayed, said: Said, faces: Sequence[int]) -> None:
    match said.verb:
        case Verb.NAME | Verb.MERGE:
            for person in said.persons:
                now.people.rename(person, said.after)
        case Verb.ASSIGN | Verb.SPLIT:
            now.people.assign(faces, said.after)
        case Verb.SAME:
            now.people.unite(faces)
        case Verb.DIFFERENT:
            now.people.part(faces)
        case Verb.REJECT:
            now.rejected |= dict.fromkeys(faces, BY_HAND if said.after is None else f"{BY_HAND}: {said.after}")
        case Verb.RESTORE:
            now.rejected |= dict.fromkeys(faces)
        case Verb.BOX:
            now.boxes |= dict.fromkeys(faces, said.after)
        case Verb.LANDMARKS:
            now.landmarks |= dict.fromkeys(faces, said.after)
        case Verb.MASK:
            for face in faces:
                now.masks.setdefault(face, {})[said.after["name"]] = said.after
        case Verb.ADD | Verb.NOTE:
            pass
