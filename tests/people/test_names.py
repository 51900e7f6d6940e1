from collections.abc import Sequence

from faceloom.people.folders import folder_names
from faceloom.people.names import called
from faceloom.store.persons import Attributions


def told(
    found: Sequence[str | None], calls: Sequence[str | None] | None = None, names: Sequence[str] = ()
) -> Attributions:
    calls = [None] * len(found) if calls is None else calls
    return Attributions(
        state=(), found=found, persons=calls, calls=calls, apart=(), kept=frozenset(), names=frozenset(names)
    )


def test_the_first_time_persons_are_numbered_by_their_faces() -> None:
    assert called([0, 1, 1, 2], told([None] * 4)) == ["person 2", "person 1", "person 1", "person 3"]


def test_a_cluster_keeps_the_name_that_most_of_its_faces_had() -> None:
    before = ["person 3", "person 3", "person 1", "person 3", None, "person 1"]
    assert called([0, 0, 0, 1, 1, 1], told(before)) == ["person 3"] * 3 + ["person 1"] * 3


def test_of_two_clusters_of_one_name_that_with_more_of_its_faces_keeps_it_and_the_other_is_new() -> None:
    before = ["person 2"] * 5
    assert called([0, 0, 1, 1, 1], told(before)) == ["person 1"] * 2 + ["person 2"] * 3
    assert called([0, 0, 0, 1, 1], told(before)) == ["person 2"] * 3 + ["person 1"] * 2


def test_a_name_that_nobody_has_any_more_is_not_given_to_anybody_else() -> None:
    before = ["person 1", "person 1", "person 2", None]
    assert called([0, 0, 0, 1], told(before)) == ["person 1"] * 3 + ["person 3"]


def test_what_was_told_goes_before_what_was_found() -> None:
    before = ["person 1", "person 1", "person 1", "person 1"]
    names = called([0, 0, 0, 1], told(before, [None, "Ann", None, None], ["Ann"]))
    assert names == ["Ann", "Ann", "Ann", "person 1"]


def test_numbers_are_given_anew_where_that_is_asked_for_but_not_to_those_of_whom_somebody_spoke() -> None:
    before = ["person 7", "Bob", "Bob", "person 7"]
    names = called([0, 1, 1, 2], told(before, names=["Bob"]), anew=True)
    assert names == ["person 1", "Bob", "Bob", "person 2"]


def test_names_that_grouping_never_gave_are_not_kept() -> None:
    before = ["../../etc", "a\0b", "person 0", "person 4"]
    assert called([0, 1, 2, 3], told(before)) == ["person 1", "person 2", "person 3", "person 4"]


def test_folders_of_persons_lead_nowhere() -> None:
    names = folder_names(["Ann", "../Ann", "ann", "..", "", "a\0b/c"])
    assert list(names.values()) == ["Ann", ".._Ann", "ann (2)", "_..", "_", "a\\x00b_c"]
