"""OpenCV's FaceDetectorYN: boxes, or with `--crops` an aligned crop of each face too, as faceloom writes them."""

from pathlib import Path

import cv2
import numpy as np

from peer_scripts.job import Job, parser

LONGEST_SIDE = 1024
CROP = 512
# The five points that ArcFace made usual, around their middle, in units of the distance between the eyes.
TEMPLATE = np.array([[-0.503, -0.573], [0.497, -0.579], [0.0, -0.005], [-0.411, 0.581], [0.417, 0.576]], np.float32)
EYE_SHARE = 0.22
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--weights", type=Path, required=True)
    arguments.add_argument("--crops", action="store_true")
    job = Job(options=arguments.parse_args())
    detector = cv2.FaceDetectorYN.create(str(job.options.weights), "", (320, 320), 0.6, 0.3, 5000)
    for name, image in job.frames():
        faces = detect(detector, image)
        job.boxes[name] = [[x, y, x + w, y + h] for x, y, w, h in faces[:, :4].tolist()]
        if job.options.crops:
            for i, face in enumerate(faces):
                crop = cut(image, face[4:14].reshape(5, 2))
                cv2.imwrite(str(job.out / f"{name.replace('#', '_')}_{i}.jpg"), crop, JPEG)
    job.finish()


def detect(detector: cv2.FaceDetectorYN, image: np.ndarray) -> np.ndarray:
    """(K, 15) x, y, width, height, five points and score of each face."""
    height, width = image.shape[:2]
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    if scale < 1:
        image = cv2.resize(image, (round(width * scale), round(height * scale)))
    detector.setInputSize(image.shape[1::-1])
    _, faces = detector.detect(image)
    if faces is None:
        return np.zeros((0, 15), np.float32)
    return np.hstack([faces[:, :14] / scale, faces[:, 14:]])


def cut(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    template = TEMPLATE * EYE_SHARE * CROP + (CROP - 1) / 2
    to_crop, _ = cv2.estimateAffinePartial2D(points, template, method=cv2.LMEDS)
    return cv2.warpAffine(image, to_crop, (CROP, CROP), borderMode=cv2.BORDER_REPLICATE)


if __name__ == "__main__":
    main()
