import json
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from faceloom.cli.main import main
from faceloom.cli.plan_plots import _Axis
from solver.test_explain import job
from solver.written import problem_to_json

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def problem(tmp_path: Path) -> str:
    (tmp_path / "problem.json").write_text(json.dumps(problem_to_json(job(16 * 1024))))
    return str(tmp_path / "problem.json")


def test_budgets_are_points_and_those_that_do_not_do_are_marked(
    problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = "1MiB,8GiB,16GiB,32GiB"
    assert main(["plan", "--problem", problem, "--what-if", sizes, "--plot", str(tmp_path / "a.svg"), "--json"]) == 0
    plans = json.loads(capsys.readouterr().out)["plans"]
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    points = root.findall(f"{SVG}circle")
    assert len(points) == sum("error" not in one for one in plans)
    assert [one.text for one in root.iter(f"{SVG}text")].count("too little") == sum("error" in one for one in plans) > 0
    places = [(float(one.attrib["cx"]), float(one.attrib["cy"])) for one in points]
    assert places == sorted(places)
    seconds = [one["seconds"] for one in plans if "error" not in one]
    heights = [400 - y for _, y in places]
    assert [a > b for a, b in pairwise(heights)] == [a > b for a, b in pairwise(seconds)]


def test_a_plan_has_a_bar_for_each_pass(problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot = ["--plot", str(tmp_path / "a.svg")]
    assert main(["plan", "--problem", problem, "--pass", "detect", "--pass", "align,mask", *plot]) == 0
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert len(root.findall(f"{SVG}rect")) == 1 + 2  # and the ground
    assert any(one.text and "detect/s3fd" in one.text for one in root.iter(f"{SVG}text"))
    assert main(["plan", "--problem", problem, *plot]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["plan", "--problem", problem, "--plot", str(tmp_path / "a.png")]) == 2


@pytest.mark.parametrize("most", [0.013, 1, 7.3, 99, 12345])
def test_ticks_are_round_and_reach_as_far_as_the_values(most: float) -> None:
    axis = _Axis.of([most / 3, most], 100)
    assert 2 <= len(axis.ticks) <= 6
    assert axis.at(most) <= 100
    assert all(float(f"{tick:.2g}") == pytest.approx(tick) for tick in axis.ticks)
