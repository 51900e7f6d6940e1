import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceloom.cli.main import main
from faceloom.correcting import corrections
from faceloom.geometry.landmarks import MEAN_FACE
from faceloom.results.results import open as open_results
from faceloom.store.persons import read_embeddings, write_persons
from store.made_results import write_media, write_result

BOB, CROWD = "bob.png#0/0", "deep/crowd.jpg#0/{}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("correct")
    write_result(write_media(folder / "in"), folder / "out")
    ids, _ = read_embeddings(folder / "out")
    write_persons(folder / "out", ids, [f"person {i % 3 + 1}" for i in range(len(ids))])
    return folder / "out"


@pytest.fixture
def out(made: Path, tmp_path: Path) -> str:
    return str(shutil.copytree(made, tmp_path / "out"))


def test_every_verb_can_be_said_listed_and_undone(out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "points.json").write_text(json.dumps((MEAN_FACE * 40 + 200).tolist()))
    cv2.imwrite(str(tmp_path / "mask.png"), np.full((8, 8), 77, np.uint8))
    chip = str(Path(out) / "chips/deep/crowd.jpg/000000_3.jpg")
    said = [
        ["name", "person 1", "Ann"],
        ["merge", "Ann", "person 2"],
        ["assign", chip, CROWD.format(4), "Eve"],
        ["assign", CROWD.format(5)],
        ["split", CROWD.format(6), CROWD.format(7)],
        ["split", CROWD.format(8), "Zoe"],
        ["same", CROWD.format(0), BOB],
        ["different", CROWD.format(0), BOB],
        ["reject", chip, "a poster"],
        ["restore", chip],
        ["box", BOB, "1", "2.5", "30", "40"],
        ["landmarks", BOB, str(tmp_path / "points.json")],
        ["mask", BOB, "components", str(tmp_path / "mask.png")],
        ["note", BOB, "who?"],
    ]
    for number, words in enumerate(said, start=1):
        assert main(["correct", out, *words]) == 0
        assert capsys.readouterr().out.split()[0] == str(number)
    with open_results(out) as results:
        faces = {f"{face.frame}/{face.index}": face for face in results}
        assert (faces[CROWD.format(3)].person, faces[CROWD.format(8)].person) == ("Eve", "Zoe")
        assert faces[BOB].box.tolist() == [1, 2.5, 30, 40]
        assert faces[BOB].masks["components"].max() == 77
        assert faces[CROWD.format(6)].person == "person 4"
    assert main(["corrections", out]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == len(said)
    assert listed[8].endswith("reject deep/crowd.jpg#0/3: a poster")
    assert main(["correct", out, "undo"]) == 0
    assert main(["correct", out, "undo", "2", "11"]) == 0
    assert main(["correct", out, "redo", "11"]) == 0
    assert [one.id for one in corrections(out) if one.is_undone] == [2, 14]
    capsys.readouterr()
    assert main(["corrections", out, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["corrections"]
    assert [one["verb"] for one in told] == [words[0] for words in said]


def test_corrections_go_through_a_file(
    out: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["correct", out, "name", "person 1", "Ann"]) == 0
    assert main(["correct", out, "reject", BOB]) == 0
    assert main(["corrections", out, "--export", str(tmp_path / "said.jsonl")]) == 0
    assert main(["corrections", out, "--export", str(tmp_path / "said.jsonl")]) == 2
    other = str(shutil.copytree(made, tmp_path / "other"))
    capsys.readouterr()
    assert main(["corrections", other, "--import", str(tmp_path / "said.jsonl"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"imported": {"added": 2, "known": 0, "lost": []}}
    text = (tmp_path / "said.jsonl").read_text().replace('"index":0', '"index":9')
    assert '"uid":"' in text
    third = str(shutil.copytree(made, tmp_path / "third"))
    (tmp_path / "changed.jsonl").write_text(text.replace('"sha256":"', '"sha256":"0'))
    assert main(["corrections", third, "--import", str(tmp_path / "changed.jsonl"), "--list"]) == 1
    told = capsys.readouterr()
    assert "not here: reject of bob.png#0/9" in told.err
    assert "(1 of 1 not here)" in told.out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["nmae", "a", "b"], "did you mean 'name'"),
        (["name", "person 1"], "name PERSON NEW"),
        (["box", BOB, "1", "2", "x", "4"], "four numbers"),
        (["undo", "first"], "by their numbers"),
        (["reject", "bob.png"], "SOURCE#FRAME/INDEX"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_may_be(
    words: list[str], hint: str, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["correct", out, *words]) == 2
    assert hint in capsys.readouterr().err
    assert not list(corrections(out))
