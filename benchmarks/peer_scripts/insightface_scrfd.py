"""InsightFace's SCRFD at its usual size: boxes and five points."""

from pathlib import Path

from insightface.model_zoo import get_model

from peer_scripts.job import Job, parser


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--weights", type=Path, required=True)
    job = Job(options=arguments.parse_args())
    detector = get_model(str(job.options.weights), providers=["CPUExecutionProvider"])
    detector.prepare(ctx_id=-1, input_size=(640, 640), det_thresh=0.5)
    for name, image in job.frames():
        faces, _ = detector.detect(image)
        job.boxes[name] = faces[:, :4].tolist()
    job.finish()


if __name__ == "__main__":
    main()
