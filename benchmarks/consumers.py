"""What other programs make of our exports: `python benchmarks/consumers.py FOLDER PICTURES`.

FOLDER is a result folder of the pictures in PICTURES, with persons and masks. Each export is loaded by the program that
it is for, in the version that is installed, and what that holds is compared with the result folder: counts of pictures
and faces, boxes, names. Where a program is not installed, a line says so. The table is that of docs/formats.md. An
environment with all of them, which takes 1 GiB and for which CI has no time:

    pip install . pyarrow pandas pycocotools webdataset datasets label-studio-sdk OpenEXR pyyaml defusedxml matplotlib
    pip install --no-deps supervision ultralytics torchvision   # which would have another OpenCV
    pip install torch psutil py-cpuinfo polars scipy "pydeprecate<0.14"
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

import faceloom
from faceloom.results.faces import ResultFace

Check = Callable[[Path, Path, Path, list[ResultFace]], str]


def exported(folder: Path, scratch: Path, to: str, layout: str | None = None) -> Path:
    out = scratch / f"{to}-{layout}"
    faceloom.export(folder, to, out=out, layout=layout)
    return out


def require(is_so: bool, what: str) -> None:
    if not is_so:
        raise AssertionError(what)


def inside(face: ResultFace, sizes: Mapping[str, tuple[int, int]]) -> Any:
    """The box of a face, clipped to its frame."""
    width, height = sizes[face.frame.source]
    return np.clip(face.box, -0.5, np.array([width, height] * 2) - 0.5)


def sizes_of(folder: Path) -> dict[str, tuple[int, int]]:
    with faceloom.open(folder) as results:
        return {frame.id.source: (frame.width or 0, frame.height or 0) for frame in results.frames()}


def near(found: Any, expected: Any, pixels: float) -> None:
    require(len(found) == len(expected), f"{len(found)} boxes, not {len(expected)}")
    apart = np.abs(np.asarray(found, float)[:, None] - np.asarray(expected, float)).max(axis=2)
    require(max(apart.min(axis=0).max(), apart.min(axis=1).max()) < pixels, "boxes lie elsewhere")


def coco(folder: Path, _: Path, scratch: Path, faces: list[ResultFace]) -> str:
    from pycocotools.coco import COCO

    loaded = COCO(str(exported(folder, scratch, "coco")))
    boxes = [one["bbox"] for one in loaded.loadAnns(loaded.getAnnIds())]
    sizes = sizes_of(folder)
    expected = [[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in (inside(face, sizes) for face in faces)]
    near(boxes, expected, 0.01)
    return f"{len(loaded.imgs)} images, {len(boxes)} boxes in place, 68 keypoints"


def yolo(folder: Path, pictures: Path, scratch: Path, faces: list[ResultFace]) -> str:
    import supervision

    out = exported(folder, scratch, "yolo")
    loaded = supervision.DetectionDataset.from_yolo(
        images_directory_path=str(pictures), annotations_directory_path=str(out / "labels"),
        data_yaml_path=str(out / "data.yaml"),
    )  # fmt: skip
    boxes = np.concatenate([one.xyxy for one in loaded.annotations.values()])
    sizes = sizes_of(folder)
    near(boxes, [inside(face, sizes) + 0.5 for face in faces], 1.5)  # supervision makes whole pixels
    return f"{len(loaded)} images, class {loaded.classes}, {len(boxes)} boxes in place"


def ultralytics_boxes(folder: Path, pictures: Path, scratch: Path, faces: list[ResultFace]) -> str:
    labels = ultralytics_labels(exported(folder, scratch, "yolo"), pictures, "detect")
    count = sum(len(one["bboxes"]) for one in labels)
    require(count == len(faces), f"{count} faces")
    return f"{len(labels)} images, {count} boxes, none refused"


def ultralytics_points(folder: Path, pictures: Path, scratch: Path, faces: list[ResultFace]) -> str:
    labels = ultralytics_labels(exported(folder, scratch, "yolo-pose"), pictures, "pose")
    points = np.concatenate([one["keypoints"] * [*one["shape"][::-1], 1] for one in labels])
    sizes = sizes_of(folder)
    expected = [
        np.clip(face.keypoints + 0.5, 0, sizes[face.frame.source]) for face in faces if face.keypoints is not None
    ]
    near(points[..., :2].reshape(-1, 10), np.reshape(expected, (-1, 10)), 0.01)
    return f"{len(labels)} images, {len(points)} boxes with five points in place"


def ultralytics_labels(out: Path, pictures: Path, task: str) -> Any:
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    shutil.copytree(pictures, out / "images", dirs_exist_ok=True)
    (out / "data.yaml").write_text((out / "data.yaml").read_text().replace("path: .", f"path: {out.resolve()}"))
    data = check_det_dataset(str(out / "data.yaml"), autodownload=False)
    return YOLODataset(img_path=data["train"], data=data, task=task).labels


def voc(folder: Path, pictures: Path, scratch: Path, faces: list[ResultFace]) -> str:
    import supervision

    out = exported(folder, scratch, "voc")
    loaded = supervision.DetectionDataset.from_pascal_voc(
        images_directory_path=str(pictures), annotations_directory_path=str(out / "Annotations")
    )
    boxes = np.concatenate([one.xyxy for one in loaded.annotations.values()])
    sizes = sizes_of(folder)
    near(boxes, [inside(face, sizes) for face in faces], 1.5)
    require(
        ElementTree.parse(next((out / "Annotations").rglob("*.xml"))).getroot().tag == "annotation", "no annotation"
    )
    return f"{len(loaded)} images, class {loaded.classes}, {len(boxes)} boxes in place"


def label_studio(folder: Path, _: Path, scratch: Path, faces: list[ResultFace]) -> str:
    from label_studio_sdk.label_interface import LabelInterface

    tasks = json.loads(exported(folder, scratch, "label-studio").read_text())
    interface = LabelInterface(LABELS)
    for task in tasks:
        problems = interface.validate_prediction(task["predictions"][0], return_errors=True)
        require(not problems, str(problems))
    broken = {"result": [{**tasks[0]["predictions"][0]["result"][0], "from_name": "nobody"}]}
    require(bool(interface.validate_prediction(broken, return_errors=True)), "what is wrong passes too")
    regions = [one for task in tasks for one in task["predictions"][0]["result"] if one["type"] == "rectanglelabels"]
    require(len(regions) == len(faces), "other numbers of faces")
    return f"{len(tasks)} tasks and {len(regions)} rectangles are valid for the labels below"


def hugging_face(folder: Path, _: Path, scratch: Path, faces: list[ResultFace]) -> str:
    import datasets
    import huggingface_hub

    out = exported(folder, scratch, "hf")
    card = huggingface_hub.DatasetCard.load(out / "README.md").data.to_dict()
    require(card["size_categories"] == ["n<1K"] and card["configs"][0]["config_name"] == "default", "another card")
    loaded = datasets.load_dataset(str(out), split="train", cache_dir=str(scratch / "cache"))
    require(len(loaded) == len(faces), f"{len(loaded)} rows")
    row = loaded[0]
    near([row["box"]], [next(face.box for face in faces if face.frame.source == row["source"])], 0.01)
    return f"{len(loaded)} rows of {row['image'].size} pixels, {len(loaded.features)} columns"


def image_folder(folder: Path, _: Path, scratch: Path, faces: list[ResultFace]) -> str:
    import datasets

    out = exported(folder, scratch, "chips", "person")
    loaded = datasets.load_dataset("imagefolder", data_dir=str(out), split="train", cache_dir=str(scratch / "cache"))
    names = {face.person for face in faces if face.person}
    require(set(loaded.features["label"].names) == names, "other persons")
    require(len(loaded) == sum(bool(face.person) for face in faces), "other numbers of faces")
    return f"{len(loaded)} rows of {len(names)} labels"


def web_dataset(folder: Path, _: Path, scratch: Path, faces: list[ResultFace]) -> str:
    import webdataset

    shard = exported(folder, scratch, "chips", "webdataset") / "faces-000000.tar"
    samples = list(webdataset.WebDataset(str(shard), shardshuffle=False).decode("rgb8"))
    require(len(samples) == len(faces), "other numbers of faces")
    return f"{len(samples)} samples of {', '.join(sorted(key for key in samples[0] if not key.startswith('__')))}"


def pandas_frame(folder: Path, _: Path, scratch: Path, faces: list[ResultFace]) -> str:
    import pandas

    rows = pandas.read_parquet(exported(folder, scratch, "parquet"))
    lines = pandas.read_json(exported(folder, scratch, "jsonl"), lines=True)
    table = pandas.read_csv(exported(folder, scratch, "csv"))
    require(len(rows) == len(lines) == len(table) == len(faces), "other numbers of faces")
    return f"{len(rows)} rows of Parquet, JSON lines and CSV"


def open_exr(folder: Path, _: Path, scratch: Path, faces: list[ResultFace]) -> str:
    import OpenEXR

    out = exported(folder, scratch, "masks", "face-exr")
    files = sorted(out.rglob("*.exr"))
    masks = [face.masks[name] for face in faces for name in sorted(face.masks)]
    for file, mask in zip(files, masks, strict=True):
        with OpenEXR.File(str(file)) as image:
            pixels = image.channels()["Y"].pixels
        require(np.array_equal(pixels, (mask / np.float32(255)).astype(np.float16)), f"{file.name} differs")
    return f"{len(files)} files, every value"


LABELS = """
<View>
  <Image name="image" value="$image"/>
  <RectangleLabels name="face" toName="image"><Label value="face"/></RectangleLabels>
  <KeyPointLabels name="point" toName="image">
    <Label value="left eye"/><Label value="right eye"/><Label value="nose"/>
    <Label value="left corner of the mouth"/><Label value="right corner of the mouth"/>
  </KeyPointLabels>
</View>
"""
CHECKS: Mapping[str, tuple[str, Check]] = {
    "`coco`": ("pycocotools", coco),
    "`yolo`": ("supervision", yolo),
    "`yolo`, by its maker": ("ultralytics", ultralytics_boxes),
    "`yolo-pose`": ("ultralytics", ultralytics_points),
    "`voc`": ("supervision", voc),
    "`label-studio`": ("label-studio-sdk", label_studio),
    "`hf`": ("datasets", hugging_face),
    "`chips --layout person`": ("datasets", image_folder),
    "`webdataset`": ("webdataset", web_dataset),
    "`parquet`, `jsonl`, `csv`": ("pandas", pandas_frame),
    "`masks --layout face-exr`": ("OpenEXR", open_exr),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("pictures", type=Path)
    chosen = parser.parse_args()
    with faceloom.open(chosen.folder) as results:
        faces = list(results)
    print("| `--to` | read by | version | what was checked |\n| --- | --- | --- | --- |")
    for name, (package, check) in CHECKS.items():
        with tempfile.TemporaryDirectory() as scratch:
            try:
                told = check(chosen.folder, chosen.pictures, Path(scratch), faces)
            except ImportError as error:
                told = f"not installed ({error.name})"
        print(f"| {name} | {package} | {installed(package)} | {told} |")


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


if __name__ == "__main__":
    main()
