import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faceloom.errors import RequestError, StoreError
from faceloom.store.configuration import parse_config
from faceloom.store.folder import DATABASE
from faceloom.store.store import Store
from faceloom.store.summary import read_summary

CONFIG: dict[str, Any] = {
    "mask_size": 8,
    "stages": {"detect/a": {"min_score": 0.5}, "align/b": {}, "identify/c": {"weights": "x"}},
    "chips": {"size": 64},
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "out") as store:
        store.configuration.use(CONFIG)
        store.begin_run(versions={})
        yield store


def test_the_first_runs_configuration_is_the_folders(store: Store, tmp_path: Path) -> None:
    assert store.configuration.now == CONFIG
    store.configuration.use(CONFIG)
    store.configuration.use({**CONFIG, "looks": [{"detect/x": {}}]})  # a look is asked for by no first command
    assert store.configuration.now == CONFIG
    with Store(tmp_path / "new") as new:
        assert new.configuration.now is None


def test_what_differs_is_told_by_its_place_and_both_values(store: Store) -> None:
    asked = {**CONFIG, "mask_size": 9, "chips": None, "stages": {**CONFIG["stages"], "detect/a": {"min_score": 0.7}}}
    with pytest.raises(RequestError) as raised:
        store.configuration.use(asked)
    assert str(raised.value) == (
        f"{store.folder} was made with another configuration, and one folder holds one:\n"
        '  chips: {"size": 64} in the folder, null asked for\n'
        "  mask_size: 8 in the folder, 9 asked for\n"
        "  stages.detect/a.min_score: 0.5 in the folder, 0.7 asked for\n"
        "choose another --out, or ask for the same again"
    )


def test_a_folder_of_another_arithmetic_is_refused_in_words(store: Store) -> None:
    store.configuration.use(CONFIG)  # which tells none
    with pytest.raises(RequestError, match="results"):
        store.configuration.use({**CONFIG, "results": 4})
    with Store(store.folder.parent / "before") as before:
        before.configuration.use({**CONFIG, "results": 4})
        with pytest.raises(RequestError, match=r"slightly different faces \(version 4 of the results, here 5\).*--out"):
            before.configuration.use({**CONFIG, "results": 5, "mask_size": 9})


def test_stages_are_added_once_and_must_be_the_same_if_they_are_there(store: Store) -> None:
    new = {"mask/d": {"grow": 0.5}, "align/b": {}}
    assert store.configuration.add_stages(new) == ["mask/d"]
    assert store.configuration.now == {**CONFIG, "stages": {**CONFIG["stages"], "mask/d": {"grow": 0.5}}}
    assert store.configuration.add_stages(new) == []
    with pytest.raises(RequestError, match=r"mask/d\.grow: 0\.5 in the folder, 0\.6 asked for"):
        store.configuration.add_stages({"mask/d": {"grow": 0.6}})
    with pytest.raises(RequestError, match="has embeddings of identify/c, and a face has one: extract anew"):
        store.configuration.add_stages({"identify/e": {}})
    store.configuration.take_back(["mask/d"])
    assert store.configuration.now == CONFIG


def test_each_second_look_has_a_number_and_keeps_it(store: Store) -> None:
    def look(name: str, **options: object) -> int:
        stages = {stage: told for stage, told in CONFIG["stages"].items() if not stage.startswith("detect/")}
        return store.configuration.use_look({**CONFIG, "stages": {**stages, f"detect/{name}": options}})

    assert (look("x"), look("y", min_score=0.1), look("x"), look("x", min_score=0.2)) == (1, 2, 1, 3)
    now = store.configuration.now
    assert now is not None
    assert now["looks"] == [{"detect/x": {}}, {"detect/y": {"min_score": 0.1}}, {"detect/x": {"min_score": 0.2}}]
    assert {**now, "looks": None} == {**CONFIG, "looks": None}
    store.configuration.use(CONFIG)  # the first command goes on
    with pytest.raises(RequestError, match="detect/a has found none there; name another detector, or other options"):
        look("a", min_score=0.5)
    with pytest.raises(RequestError, match=r"stages\.mask/d"):
        store.configuration.use_look({**CONFIG, "stages": {**CONFIG["stages"], "mask/d": {}}})


def test_a_folder_without_results_has_no_second_look(tmp_path: Path) -> None:
    with Store(tmp_path / "new") as new, pytest.raises(RequestError, match="holds no results yet; run the command wit"):
        new.configuration.use_look(CONFIG)


def test_the_digest_is_of_the_text_that_is_kept(store: Store) -> None:
    import hashlib

    rows = dict(store._db.execute("SELECT key, value FROM meta").fetchall())
    assert json.loads(rows["config"]) == CONFIG
    assert list(json.loads(rows["config"])) == sorted(CONFIG)
    assert rows["config_sha256"] == hashlib.sha256(rows["config"].encode()).hexdigest()


SOUND: list[dict[str, Any]] = [
    {},
    CONFIG,
    {"chips": None},
    {**CONFIG, "looks": [{"detect/x": {}}, {}], "crop": "face", "level": False},
    {**CONFIG, "crop": "whole", "chips": {"size": 1 << 14}, "mask_size": 1},
]
WRONG: list[Any] = [
    [],
    7,
    {"stages": {"detect/a": {}}},
    {**CONFIG, "stages": []},
    {**CONFIG, "stages": {"detect/a": 1}},
    {**CONFIG, "looks": {}},
    {**CONFIG, "looks": [[]]},
    {**CONFIG, "looks": [{"detect/x": 1}]},
    {**CONFIG, "mask_size": 0},
    {**CONFIG, "mask_size": True},
    {**CONFIG, "mask_size": 1.5},
    {**CONFIG, "mask_size": (1 << 14) + 1},
    {**CONFIG, "mask_size": None},
    {**CONFIG, "chips": 3},
    {**CONFIG, "chips": {}},
    {**CONFIG, "chips": {"size": "64"}},
    {**CONFIG, "crop": "nose"},
    {**CONFIG, "level": 1},
]


@pytest.mark.parametrize("config", SOUND)
def test_what_runs_write_is_read(config: dict[str, Any]) -> None:
    assert parse_config(json.dumps(config)) == config


@pytest.mark.parametrize("config", WRONG)
def test_what_no_run_has_written_is_damage(config: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="configuration is none"):
        parse_config(json.dumps(config))
    with Store(tmp_path / "out") as store:
        store._db.execute("INSERT INTO meta VALUES ('config', ?)", (json.dumps(config),))
        with pytest.raises(StoreError, match=f"the store {tmp_path / 'out'} is damaged: its configuration is none"):
            store.configuration.use(CONFIG)
    with pytest.raises(StoreError, match=rf"{DATABASE} is damaged: its configuration"):
        read_summary(tmp_path / "out")
