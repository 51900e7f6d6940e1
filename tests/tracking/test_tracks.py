from dataclasses import replace

import pytest

from faceloom.tracking.tracks import link
from seen_frames import Path2, frames_of, whose


def straight(x: float, y: float, dx: float, dy: float = 0, *, side: float = 60, gone: range = range(0)) -> Path2:
    """On a straight line; not seen in some frames."""
    return lambda i: None if i in gone else (x + dx * i, y + dy * i, side)


def test_every_face_is_in_one_track_and_tracks_are_in_the_order_in_which_they_begin() -> None:
    late: Path2 = lambda i: (600, 100, 50) if i >= 10 else None  # noqa: E731
    seen, truth = frames_of([straight(100, 100, 3), straight(400, 100, -1), late], 30)
    tracks = link(seen)
    assert sorted(face for track in tracks for face in track) == list(range(len(truth)))
    firsts = [track[0] for track in tracks]
    assert firsts == sorted(firsts)
    assert sorted(map(len, tracks)) == [20, 30, 30]
    assert all(len(one) == 1 for one in whose(tracks, truth))


def test_faces_that_cross_keep_their_tracks() -> None:
    seen, truth = frames_of([straight(100, 100, 8), straight(500, 115, -8)], 50)
    tracks = link(seen)
    assert [len(one) for one in whose(tracks, truth)] == [1, 1]


def test_a_face_behind_another_has_its_track_again_when_it_comes_out() -> None:
    """As detectors see it: of two faces over each other there is one."""
    seen, truth = frames_of([straight(100, 100, 8), straight(500, 110, -8, gone=range(22, 29))], 50)
    tracks = link(seen)
    assert sorted(map(len, tracks)) == [43, 50]
    assert [len(one) for one in whose(tracks, truth)] == [1, 1]


def test_a_face_that_is_gone_for_long_has_another_track() -> None:
    seen, _ = frames_of([straight(100, 100, 0, gone=range(10, 60))], 70)
    assert list(map(len, link(seen))) == [10, 10]


def test_embeddings_tell_who_comes_back_where_places_do_not() -> None:
    """Both turn around behind a pillar."""
    paths: list[Path2] = [
        lambda i: None if 20 <= i < 60 else (100 + 6 * min(i, 80 - i), 100, 60),
        lambda i: None if 20 <= i < 60 else (340 - 6 * min(i, 80 - i), 100, 60),
    ]
    seen, truth = frames_of(paths, 80, identify=True)
    tracks = link(seen, same_person=0.3)
    assert [len(track) for track in tracks] == [40, 40]
    assert [len(one) for one in whose(tracks, truth)] == [1, 1]


def test_whom_somebody_told_apart_is_in_two_tracks() -> None:
    after: Path2 = lambda i: (100, 100, 60) if i >= 10 else None  # noqa: E731
    before: Path2 = lambda i: (100, 100, 60) if i < 10 else None  # noqa: E731
    assert len(link(frames_of([before, after], 20)[0])) == 1
    assert len(link(frames_of([before, after], 20, persons={0: "Ann", 1: "Bo"})[0])) == 2


@pytest.mark.parametrize("order", range(3))
def test_tracks_do_not_depend_on_the_order_of_faces_in_a_frame(order: int) -> None:
    paths = [straight(80 * k, 60 + 50 * (k % 3), 5 - 2 * k, gone=range(4 * k, 5 * k)) for k in range(7)]
    seen, truth = frames_of(paths, 40, order=order)
    told = [
        sorted((sorted(whose([track], of_truth)[0]), len(track)) for track in link(of_frames))
        for of_frames, of_truth in ((seen, truth), frames_of(paths, 40))
    ]
    assert told[0] == told[1]
    assert len(told[0]) == len(paths)


def test_few_frames_a_second_are_linked_too() -> None:
    """Every 50th frame was looked at."""
    seen, _ = frames_of([straight(100, 100, 0)], 400)
    sparse = [frame for frame in seen if frame.position % 50 == 0]
    told = [replace(frame, position=i) for i, frame in enumerate(sparse)]
    assert list(map(len, link(told))) == [8]


def test_a_long_track_of_many_pieces_is_one() -> None:
    seen, _ = frames_of([straight(100, 100, 0.01, gone=range(0, 3000, 7)), straight(300, 100, 0)], 3000)
    assert sorted(map(len, link(seen))) == [3000 - len(range(0, 3000, 7)), 3000]


def test_there_may_be_nobody() -> None:
    assert link([]) == []
    assert link(frames_of([straight(0, 0, 0)], 1)[0]) == [[0]]
