"""Names in picture files and sidecars, also as exiftool reads and writes them."""

import hashlib
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage

from faceloom.cli.main import main
from faceloom.correcting import corrections
from faceloom.errors import RequestError
from faceloom.formats.regions import FaceRegion, read_packet, write_packet
from faceloom.geometry.stored import Area, as_upright
from faceloom.media.orientations import as_stored
from faceloom.media.stored_xmp import with_xmp, xmp_of
from faceloom.naming import read_names, write_into_files, write_sidecars
from faceloom.results.results import open as open_results
from faceloom.store.folder import DATABASE
from faceloom.store.persons import read_embeddings, write_persons
from store.made_results import write_media, write_result

NOBODY = "nobody.jpg"
ORIENTATIONS = {"ann_in_july.png": 1, "bob.png": 1, "deep/crowd.jpg": 6}
HEIGHT, WIDTH = 480, 640
needs_exiftool = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")


def write_picture(path: Path, orientation: int) -> None:
    """A picture whose upright frame is that of the made results."""
    noise = np.random.default_rng(orientation).integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    upright = cv2.resize(noise, (WIDTH, HEIGHT))
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    stored = PillowImage.fromarray(np.ascontiguousarray(as_stored(np.asarray(upright, np.uint8), orientation)))
    stored.save(path, format="JPEG" if path.suffix == ".jpg" else "PNG", exif=exif)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures and what was found on them: Ann alone, Bob alone, and in the crowd Ann, `person 2` and nobody."""
    folder = tmp_path_factory.mktemp("naming")
    write_media(folder / "in")
    write_result(folder / "in", folder / "out")
    for name, orientation in ORIENTATIONS.items():
        write_picture(folder / "in" / name, orientation)
    ids, _ = read_embeddings(folder / "out")
    write_persons(folder / "out", [*ids[:4], ids[-1]], ["Ann", "Bob", "Ann", "person 2", "Bob"])
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of them, whose store knows the pictures that are there."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    with closing(sqlite3.connect(tmp_path / "out" / DATABASE)) as db, db:
        for name in ORIENTATIONS:
            path = tmp_path / "in" / name
            told = (bytes(path), digest(path), path.stat().st_size, path.stat().st_mtime_ns, name)
            db.execute("UPDATE source SET path = ?, sha256 = ?, size_bytes = ?, mtime_ns = ? WHERE name = ?", told)
        db.execute("UPDATE source SET path = ? WHERE name = ?", (bytes(tmp_path / "in" / NOBODY), NOBODY))
    return tmp_path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def exiftool(path: Path, *told: str) -> Mapping[str, Any]:
    """What exiftool reads in a file, or what it says when it writes."""
    done = subprocess.run(["exiftool", "-struct", "-n", "-j", *told, str(path)], capture_output=True, check=True)
    return dict(json.loads(done.stdout)[0])


def persons(out: Path, source: str) -> list[str]:
    with open_results(out) as results:
        return [face.person or "" for face in results.faces(source=source)]


def boxes(out: Path, source: str) -> "np.typing.NDArray[np.float64]":
    with open_results(out) as results:
        return np.array([face.box for face in results.faces(source=source)], np.float64)


def pixels(path: Path) -> bytes:
    with PillowImage.open(path) as picture:
        return picture.tobytes()


def upright_box(area: Mapping[str, float], orientation: int) -> list[float]:
    found = as_upright(Area(area["X"], area["Y"], area["W"], area["H"]), orientation)
    x, y = found.x * WIDTH - 0.5, found.y * HEIGHT - 0.5
    half_width, half_height = found.width * WIDTH / 2, found.height * HEIGHT / 2
    return [x - half_width, y - half_height, x + half_width, y + half_height]


@needs_exiftool
def test_exiftool_reads_the_names_where_the_faces_are_stored(folder: Path) -> None:
    written = write_into_files(folder / "out")
    assert (written.files, written.failed) == (3, ())
    for source, orientation in ORIENTATIONS.items():
        told = exiftool(folder / "in" / source, "-RegionInfo", "-Orientation")
        regions = told["RegionInfo"]["RegionList"]
        named = [
            (name, box)
            for name, box in zip(persons(folder / "out", source), boxes(folder / "out", source), strict=True)
            if name
        ]
        assert [region["Name"] for region in regions] == [name for name, _ in named]
        found = [upright_box(region["Area"], orientation) for region in regions]
        np.testing.assert_allclose(found, [box for _, box in named], atol=0.01)
        size = told["RegionInfo"]["AppliedToDimensions"]
        assert (size["W"], size["H"]) == ((HEIGHT, WIDTH) if orientation == 6 else (WIDTH, HEIGHT))
        assert told["Orientation"] == orientation


def test_pictures_stay_as_they_are_and_the_folder_knows_them_again(folder: Path) -> None:
    before = {name: (folder / "in" / name).read_bytes() for name in ORIENTATIONS}
    looks = {name: pixels(folder / "in" / name) for name in ORIENTATIONS}
    corrections(folder / "out").note("bob.png#0/0", "ask him")
    write_into_files(folder / "out")
    for name, content in before.items():
        path = folder / "in" / name
        now = path.read_bytes()
        assert pixels(path) == looks[name]
        packet = xmp_of(now)
        assert packet is not None
        assert len(now) > len(content)
        assert (
            now.replace(packet, b"", 1) != content
        )  # but for what frames the packet, and the next line says all of it
        assert now.endswith(content[-(len(content) // 2) :])
    with closing(sqlite3.connect(folder / "out" / DATABASE)) as db:
        rows = dict(db.execute("SELECT name, sha256 FROM source"))
        (said,) = db.execute("SELECT sha256 FROM corrected_face").fetchone()
    assert {name: rows[name] for name in ORIENTATIONS} == {name: digest(folder / "in" / name) for name in ORIENTATIONS}
    assert said == rows["bob.png"]
    assert not list((folder / "in").rglob("*.faceloom-part"))
    again = write_into_files(folder / "out")
    assert (again.files, again.unchanged) == (0, 3)


def test_names_come_back_from_files_and_from_sidecars_wherever_they_lie(folder: Path) -> None:
    wanted = {name: persons(folder / "out", name) for name in ORIENTATIONS}
    assert main(["export", str(folder / "out"), "--to", "xmp", "--out", str(folder / "side")]) == 0
    assert {str(path.relative_to(folder / "side")) for path in (folder / "side").rglob("*.xmp")} == {
        f"{name}.xmp" for name in ORIENTATIONS
    }
    assert write_sidecars(folder / "out").files == 3
    bare = Path(shutil.copytree(folder / "out", folder / "bare"))
    ids, _ = read_embeddings(bare)
    for how in ("beside", "at", "inside"):
        again = Path(shutil.copytree(bare, folder / how))
        write_persons(again, ids[:1], ["person 9"])
        if how == "inside":
            for path in (folder / "in").rglob("*.xmp"):
                path.unlink()
            write_into_files(folder / "out")
        read = read_names(again, folder / "side" if how == "at" else None)
        assert (read.named, read.known, read.unmatched) == (4, 0, ()), how
        assert {name: persons(again, name) for name in ORIENTATIONS} == wanted
        assert read_names(again, folder / "side").known == 4


def test_a_hand_is_not_overruled_and_what_fits_no_face_is_listed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sidecars(folder / "out")
    corrections(folder / "out").assign("bob.png#0/0", "Robert")
    far = FaceRegion(name="Eve", area=Area(0.01, 0.01, 0.01, 0.01))
    packet = write_packet([far], width=WIDTH, height=HEIGHT)
    (folder / "in/ann_in_july.png.xmp").write_bytes(packet)
    (folder / "in/nobody.jpg.xmp").write_bytes(b"<x>")
    assert main(["names", str(folder / "out"), "--from-xmp"]) == 1
    told = capsys.readouterr()
    assert told.out == "0 faces named, 2 had the name, 3 not matched\n"
    assert "'Eve' at (6, 5): no face is there" in told.err
    assert "'Bob': face bob.png#0/0 is Robert's by hand" in told.err
    assert "nobody.jpg.xmp: it cannot be read: it is no XMP" in told.err
    assert persons(folder / "out", "bob.png") == ["Robert"]


@needs_exiftool
def test_what_other_programs_wrote_stays(folder: Path) -> None:
    (x0, y0, x1, y1), *_ = boxes(folder / "out", "deep/crowd.jpg")[1:2]
    area = as_stored_area((x0 + x1 + 1) / 2 / WIDTH, (y0 + y1 + 1) / 2 / HEIGHT, (x1 - x0) / WIDTH, (y1 - y0) / HEIGHT)
    pet = "{Name=Rex,Type=Pet,Area={X=0.5,Y=0.5,W=0.9,H=0.9,Unit=normalized}}"
    grace = f"{{Name=Grace,Type=Face,Area={{{area},Unit=normalized}}}}"
    info = f"{{AppliedToDimensions={{W={HEIGHT},H={WIDTH},Unit=pixel}},RegionList=[{pet},{grace}]}}"
    crowd = folder / "in/deep/crowd.jpg"
    subprocess.run(
        ["exiftool", "-overwrite_original", f"-RegionInfo={info}", "-Subject=holiday", "-Artist=Eve", str(crowd)],
        check=True,
        capture_output=True,
    )
    with closing(sqlite3.connect(folder / "out" / DATABASE)) as db, db:
        db.execute("UPDATE source SET sha256 = ? WHERE name = 'deep/crowd.jpg'", (digest(crowd),))
    write_into_files(folder / "out")
    told = exiftool(crowd, "-RegionInfo", "-Subject", "-Artist", "-Orientation")
    assert [region["Name"] for region in told["RegionInfo"]["RegionList"]] == ["Rex", "Grace", "Ann"]  # no person 2
    assert (told["Subject"], told["Artist"], told["Orientation"]) == (["holiday"], "Eve", 6)
    read = read_names(folder / "out")
    assert (read.named, read.known) == (1, 3)
    assert persons(folder / "out", "deep/crowd.jpg")[:2] == ["Ann", "Grace"]


def as_stored_area(x: float, y: float, width: float, height: float) -> str:
    """Of a picture of orientation 6, whose upright right edge is its stored top."""
    return f"X={y:.6f},Y={1 - x:.6f},W={height:.6f},H={width:.6f}"


def test_a_file_that_has_changed_is_left_alone(folder: Path) -> None:
    write_picture(folder / "in/bob.png", 3)
    before = (folder / "in/bob.png").read_bytes()
    written = write_into_files(folder / "out")
    assert (folder / "in/bob.png").read_bytes() == before
    assert [failure for failure in written.failed if "bob.png: it has changed" in failure] == list(written.failed)
    assert len(written.failed) == 1


def test_without_names_there_is_nothing_to_write(folder: Path) -> None:
    write_persons(folder / "out", [], [])
    with pytest.raises(RequestError, match="nobody on the pictures"):
        write_sidecars(folder / "out")
    assert main(["names", str(folder / "out")]) == 2
    assert main(["names", str(folder / "out"), "--at", str(folder)]) == 2


@pytest.mark.parametrize(
    ("suffix", "options"), [("webp", {"quality": 80}), ("webp", {"lossless": True}), ("png", {}), ("jpg", {})]
)
def test_a_packet_goes_into_a_file_and_is_replaced_there(tmp_path: Path, suffix: str, options: dict[str, Any]) -> None:
    path = tmp_path / f"a.{suffix}"
    PillowImage.effect_noise((33, 21), 80).convert("RGBA" if suffix != "jpg" else "RGB").save(path, **options)
    look, content = pixels(path), path.read_bytes()
    assert xmp_of(content) is None
    for packet in (b"<first/>", b"<another one/>"):
        made = with_xmp(content, packet)
        assert made is not None
        assert xmp_of(made) == packet
        path.write_bytes(made)
        assert pixels(path) == look
        with PillowImage.open(path) as picture:
            assert picture.info.get("xmp") == packet or suffix == "jpg" or picture.info["XML:com.adobe.xmp"]
        content = made
    assert content.count(b"<first/>") == 0
    assert with_xmp(b"II*\0", b"<x/>") is None


def test_a_packet_that_declares_entities_or_is_none_is_refused() -> None:
    for content in (b'<!DOCTYPE a [<!ENTITY b "c">]><x/>', b"<x/>", b"", b"\xff\xd8", b"<a><b></a>"):
        with pytest.raises(ValueError, match=r"document type|XMP"):
            read_packet(content)


@given(st.binary(max_size=9), st.integers(0, 1200), st.integers(0, 40))
def test_a_damaged_packet_is_read_or_refused(noise: bytes, place: int, length: int) -> None:
    packet = bytearray(
        write_packet([FaceRegion(name="A <b> \0 é", area=Area(0.5, 0.5, 0.2, 0.1))], width=10, height=20)
    )
    packet[place : place + length] = noise
    try:
        read_packet(bytes(packet))
    except ValueError:
        return


def test_structures_are_read_however_rdf_writes_them() -> None:
    content = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
      <rdf:Description xmlns:r="http://www.metadataworkinggroup.com/schemas/regions/"
        xmlns:d="http://ns.adobe.com/xap/1.0/sType/Dimensions#" xmlns:a="http://ns.adobe.com/xmp/sType/Area#">
      <r:Regions><rdf:Description><r:AppliedToDimensions rdf:parseType="Resource"><d:w>400</d:w><d:h>200</d:h>
        </r:AppliedToDimensions><r:RegionList><rdf:Seq><rdf:li rdf:parseType="Resource"><r:Name>Ann</r:Name>
        <r:Area rdf:parseType="Resource"><a:x>100</a:x><a:y>50</a:y><a:w>40</a:w><a:h>20</a:h><a:unit>pixel</a:unit>
        </r:Area>
        </rdf:li><rdf:li><rdf:Description r:Type="Face" r:Name=" "><r:Area a:x="0.5" a:y="0.5" a:w="0.1" a:h="0.1"/>
        </rdf:Description></rdf:li></rdf:Seq></r:RegionList></rdf:Description></r:Regions>
      </rdf:Description></rdf:RDF></x:xmpmeta>"""
    packet = read_packet(content)
    assert [region.name for region in packet.regions] == ["Ann", None]
    assert packet.regions[0].area == Area(0.25, 0.25, 0.1, 0.1)
    assert packet.fits(800, 400)
    assert not packet.fits(400, 400)
