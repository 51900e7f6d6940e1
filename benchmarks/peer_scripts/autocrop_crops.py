"""autocrop: a crop of the largest face of each picture."""

from autocrop import Cropper
from PIL import Image

from peer_scripts.job import Job, parser


def main() -> None:
    job = Job(options=parser(__doc__).parse_args())
    cropper = Cropper(width=512, height=512)
    for path in job.pictures():
        result = cropper.crop(str(path))
        boxes = [face.box for face in result.diagnostics.faces]
        job.boxes[f"{path.name}#0"] = [[b.x, b.y, b.x + b.width, b.y + b.height] for b in boxes]
        if result.image is not None:
            Image.fromarray(result.image).save(job.out / f"{path.stem}.jpg", quality=95, subsampling=0)
    job.finish()


if __name__ == "__main__":
    main()
