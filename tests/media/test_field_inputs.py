"""Files of the kinds that people have, and what is right of each: see `SOURCES.md` beside them."""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import features

from faceloom.cli.main import main
from faceloom.errors import WeightsError
from faceloom.faces import Image
from faceloom.geometry.boxes import iou
from faceloom.media.notes import Note
from faceloom.media.pictures import read_picture
from faceloom.media.video_index import index_video
from faceloom.models.catalog import CATALOG
from faceloom.models.weights import WeightCache
from faceloom.store.summary import read_summary
from media.field_clips import frames_of

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "field_inputs"
BOXES = [[148, 33, 222, 130], [270, 274, 326, 344]]
RED, GREEN, SKIN, GREY, WHITE, BLACK = range(6)
PLACES = {RED: 0, GREEN: 1, SKIN: 3, GREY: 4, WHITE: 5, BLACK: 6}
COLOURS = {
    RED: (220, 20, 20),
    GREEN: (20, 200, 20),
    SKIN: (225, 172, 140),
    GREY: (128, 128, 128),
    WHITE: (235, 235, 235),
    BLACK: (20, 20, 20),
}
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the files are not beside this checkout")


def patch(image: Image, colour: int) -> list[float]:
    """The mean of one of the patches along the bottom of the scene, which is 400 wide and 500 high."""
    factor = image.shape[1] / 400
    middle, bottom = round((25 + 50 * PLACES[colour]) * factor), round(480 * factor)
    mean: list[float] = image[bottom - 3 : bottom + 3, middle - 3 : middle + 3].reshape(-1, 3).mean(axis=0).tolist()
    return mean


def require_colours(image: Image, *, within: float, of: Sequence[int] = tuple(COLOURS)) -> None:
    for colour in of:
        np.testing.assert_allclose(patch(image, colour), COLOURS[colour], atol=within)


def counter(image: Image) -> int:
    """The number that a white block in the top rows stands for."""
    row = image[4:14, :384].mean(axis=(0, 2)).reshape(-1, 16)[:, 4:12].mean(axis=1)
    return int(row.argmax())


def still(name: str, **reading: Any) -> Image:
    path = FOLDER / name
    return read_picture(path.read_bytes(), path, **reading).image


@pytest.mark.parametrize("chunk", [3, 16])
def test_clips_that_were_joined_give_every_frame_once(chunk: int) -> None:
    path = FOLDER / "joined_two_clips.vob"
    expected = [number for number in (*range(5), *range(10, 15)) for _ in range(2)]
    onward, backward = frames_of(path, chunk=chunk), frames_of(path, chunk=chunk, backwards=True)
    assert [counter(frame.image) for frame in onward] == expected
    assert [counter(frame.image) for frame in backward] == expected
    times = [frame.time for frame in onward if frame.time is not None]
    assert times == sorted(set(times))


@pytest.mark.parametrize(
    ("name", "within", "note"),
    [
        ("mirrored_matrix_h.mp4", 6, Note.MIRRORED),
        ("hdr_pq.mp4", 12, Note.TONE_MAPPED),
        ("anamorphic_sar2.mp4", 6, Note.SQUARED),
        ("interlaced.mp4", 6, Note.DEINTERLACED),
        ("hd_untagged709.mp4", 6, Note.ASSUMED_BT709),
    ],
)
def test_a_video_is_shown_as_a_player_shows_it(name: str, within: float, note: Note) -> None:
    frames = frames_of(FOLDER / name)
    for frame in frames[:1] if name == "interlaced.mp4" else frames:  # whose scene goes by
        assert frame.image.shape[0] * 4 == frame.image.shape[1] * 5
        require_colours(frame.image, within=within)
        assert note in frame.notes


def test_the_default_stream_is_read() -> None:
    index = index_video(FOLDER / "two_streams.mkv")
    assert (index.height, index.width, len(index.keyframes)) == (500, 400, 24)


def test_a_suffix_of_a_camera_hides_no_video() -> None:
    assert len(frames_of(FOLDER / "clip.insv")) == 24


def test_a_cut_in_an_open_group_has_the_times_of_the_decoder() -> None:
    times = [frame.time for frame in frames_of(FOLDER / "hevc_opengop_cut.mkv")]
    np.testing.assert_allclose([float(time) for time in times if time is not None], np.arange(16) / 12, atol=0.001)


@pytest.mark.parametrize("name", ["iphone_like.heic", "exif_after_app13.jpg", "bad_exif.webp", "icc_adobergb.jpg"])
def test_a_picture_stands_upright_in_srgb(name: str) -> None:
    image = still(name)
    assert image.shape == (500, 400, 3)
    require_colours(image, within=6)


def test_inks_are_those_of_their_profile() -> None:
    require_colours(still("cmyk_icc.jpg"), within=6, of=[SKIN, GREY, WHITE])


def test_jpeg_xl_is_read_where_its_decoder_is_installed() -> None:
    pytest.importorskip("pillow_jxl", reason="faceloom[jxl] is not installed")
    require_colours(still("plain.jxl"), within=6)


def test_both_pages_of_a_tiff_are_read() -> None:
    one, other = (still("multipage.tif", page=page) for page in range(2))
    assert one.shape == other.shape == (200, 200, 3)


def test_a_tiff_of_floating_point_has_its_light() -> None:
    assert 60 < still("rgb_float01.tif").mean() < 200


@pytest.fixture(scope="module")
def results(cache: WeightCache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run finds in the whole folder."""
    try:
        cache.prepare(CATALOG["yunet"])
    except WeightsError as error:
        pytest.skip(f"the weights cannot be had here: {error}")
    out = tmp_path_factory.mktemp("field") / "out"
    code = main(["extract", str(FOLDER), "--out", str(out), "--align", "none", "--size", "64", "--quiet"])
    assert code == (0 if importlib.util.find_spec("pillow_jxl") else 1)  # without it one picture has failed
    return out


def lines(out: Path, capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["export", str(out), "--to", "jsonl", *options]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


SMALL = {"multipage.tif", "rgb_float01.tif"}
MOVING = {"interlaced.mp4"}


def test_both_faces_are_found_in_every_frame(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = lines(results, capsys, "--frames")
    assert not [frame for frame in frames if frame["status"] != "done"]
    wrong = {frame["source"]: frame["faces"] for frame in frames if frame["faces"] != 2}
    assert set(wrong) <= SMALL
    assert all(wrong.values())


def test_faces_lie_where_they_are_shown(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in lines(results, capsys):
        if line["source"] in SMALL | MOVING:
            continue
        box = np.array(line["box"]) * (0.4 if line["source"] == "hd_untagged709.mp4" else 1)
        assert iou(box[None].astype(np.float32), np.array(BOXES, np.float32)).max() >= 0.8, line["source"]


def test_names_are_the_files_own_and_are_forgotten_by_them(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = (FOLDER / "names").iterdir()
    name = f"names/{path.name}"
    assert name in {line["source"] for line in lines(results, capsys, "--frames")}
    assert main(["forget", str(results), "--source", name]) == 0
    assert name not in {line["source"] for line in lines(results, capsys, "--frames")}


def test_nothing_is_passed_over_in_silence(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = read_summary(results)
    passed = {why: told["count"] for why, told in summary["passed_over"].items()}
    assert passed == {"left there by another program": 3, "text": 1}
    assert summary["notes"][Note.JOINED] == 1
    assert main(["show", str(results)]) == 0
    told = capsys.readouterr().out
    assert "SOURCES.md" in told
    assert "@eaDir" in told
    assert str(Note.TONE_MAPPED) in told


@pytest.mark.skipif(not features.check("littlecms2"), reason="this Pillow knows no profiles")
def test_raw_colours_stay_as_they_are_stored() -> None:
    stored = patch(still("icc_adobergb.jpg", raw_colours=True), RED)
    np.testing.assert_allclose(stored, (187, 27, 27), atol=6)
