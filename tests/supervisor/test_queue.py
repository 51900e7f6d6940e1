from collections import Counter
from pathlib import Path
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from faceloom.faces import FrameId
from faceloom.media.chunks import Chunk, PendingFrame
from faceloom.media.sources import Source, SourceKind
from faceloom.supervisor.queue import ChunkQueue, idlest, shortest_chunk

FILM = Source(name="film.mp4", path=Path("film.mp4"), kind=SourceKind.VIDEO, time_base="1/25")


def film(frames: int, *, keyframe_every: int) -> list[PendingFrame]:
    return [PendingFrame(source=FILM, index=i, ticks=i, seek_ticks=i - i % keyframe_every) for i in range(frames)]


def frames_of(chunk: Chunk) -> list[FrameId]:
    return [FrameId(span.source.name, index) for span in chunk.spans for index in span.indexes]


@given(st.integers(1, 200), st.integers(1, 70), st.integers(1, 30), st.integers(1, 4), st.randoms())
def test_every_frame_is_done_once_whatever_workers_do(
    frames: int,
    keyframe_every: int,
    frames_a_chunk: int,
    workers: int,
    random: Random,
) -> None:
    """Workers finish in any order, cut chunks short, die and starve; nothing is lost, nothing done twice."""
    queue = ChunkQueue(film(frames, keyframe_every=keyframe_every), lambda: frames_a_chunk)
    open_chunks: dict[int, list[Chunk]] = {worker: [] for worker in range(workers)}
    done: Counter[FrameId] = Counter()
    while True:
        for worker, chunks in open_chunks.items():
            while len(chunks) < 2 and (chunk := queue.begin(worker)) is not None:
                assert len(chunk) <= frames_a_chunk
                chunks.append(chunk)
        busy = [worker for worker, chunks in open_chunks.items() if chunks]
        if not busy:
            break
        worker = random.choice(busy)
        fate = random.random()
        if fate < 0.8:
            chunk = open_chunks[worker].pop(0)
            finished = len(chunk) if fate < 0.6 else random.randint(1, len(chunk))
            done.update(frames_of(chunk)[:finished])
            queue.end(chunk.number, finished)
        else:
            attempts = [queue.lose(chunk.number) for chunk in open_chunks[worker]]
            open_chunks[worker].clear()
            queue.leave(worker)
            queue.retry(*(part for attempt in attempts for part in attempt.halves()))
    assert done == Counter(FrameId(FILM.name, i) for i in range(frames))


def test_one_worker_gets_what_follows_the_same_keyframe() -> None:
    queue = ChunkQueue(film(120, keyframe_every=60), lambda: 20)
    first = [queue.begin("a"), queue.begin("b"), queue.begin("a"), queue.begin("b")]
    assert [chunk and chunk.spans[0].first for chunk in first] == [0, 60, 20, 80]


def test_nobody_waits_while_another_has_chunks_laid_aside() -> None:
    queue = ChunkQueue(film(100, keyframe_every=100), lambda: 20)
    taken = [queue.begin(worker) for worker in ("a", "b", "a", "b", "a", "b")]
    assert [chunk and chunk.spans[0].first for chunk in taken] == [0, 80, 20, 60, 40, None]


def test_the_rest_of_a_chunk_comes_before_anything_else_that_is_to_be_done_again() -> None:
    """Whoever has just read up to there goes on reading; anybody else would begin at the keyframe before it."""
    queue = ChunkQueue(film(100, keyframe_every=100), lambda: 20)
    first, second = queue.begin("a"), queue.begin("a")
    assert first
    assert second
    queue.retry(*queue.lose(second.number).halves())
    queue.end(first.number, 5)
    starts = [chunk and chunk.spans[0].first for chunk in (queue.begin("a") for _ in range(4))]
    assert starts == [5, 20, 30, 40]


@given(st.lists(st.integers(0, 5), max_size=8), st.integers(1, 5))
def test_the_next_chunk_goes_to_whoever_has_fewest(open_chunks: list[int], most: int) -> None:
    place = idlest(open_chunks, most)
    if place is None:
        assert all(number >= most for number in open_chunks)
    else:
        assert open_chunks[place] == min(open_chunks) < most


@given(st.integers(1, 8), st.integers(1, 3), st.integers(0, 20))
def test_no_worker_has_two_chunks_while_another_has_none(workers: int, most: int, chunks: int) -> None:
    open_chunks = [0] * workers
    while chunks and (place := idlest(open_chunks, most)) is not None:
        open_chunks[place] += 1
        chunks -= 1
    assert max(open_chunks) - min(open_chunks) <= 1


@given(st.floats(0, 1e6))
def test_frames_that_take_long_make_short_chunks(frame_s: float) -> None:
    frames = shortest_chunk(frame_s)
    assert 1 <= frames <= 8
    assert frames == 1 or frames * frame_s <= 1
    assert frames == 8 or (frames + 1) * frame_s > 1


@given(st.integers(1, 60), st.integers(1, 20), st.randoms())
def test_of_a_chunk_that_two_workers_have_one_counts(frames: int, frames_a_chunk: int, random: Random) -> None:
    """Workers without work do what others have in hand once more; whoever ends first, dies or cuts a chunk short."""
    queue = ChunkQueue(film(frames, keyframe_every=10), lambda: frames_a_chunk)
    hands: dict[int, Chunk | None] = dict.fromkeys(range(3))
    done: Counter[FrameId] = Counter()
    while True:
        for worker, chunk in hands.items():
            if chunk is None:
                held = [other.number for other in hands.values() if other and queue.is_single(other.number)]
                hands[worker] = queue.begin(worker) or (queue.double(random.choice(held)) if held else None)
        busy = [worker for worker, chunk in hands.items() if chunk]
        if not busy:
            break
        worker = random.choice(busy)
        chunk, hands[worker] = hands[worker], None
        assert chunk
        if random.random() < 0.7:
            finished = random.randint(1, len(chunk))
            done.update(frames_of(chunk)[:finished])
            twin = queue.end(chunk.number, finished)
            hands = {other: None if one and one.number == twin else one for other, one in hands.items()}
        else:
            queue.leave(worker)
            queue.retry(queue.lose(chunk.number))
    assert done == Counter(FrameId(FILM.name, i) for i in range(frames))
