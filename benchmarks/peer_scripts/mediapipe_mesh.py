"""MediaPipe's FaceMesh solution on still pictures: 468 landmarks a face, whose extent is the box."""

import json

import cv2
import mediapipe as mp
import numpy as np

from peer_scripts.job import Job, parser


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--faces", type=int, default=10, help="at most so many in a picture")
    job = Job(options=arguments.parse_args())
    landmarks = {}
    with mp.solutions.face_mesh.FaceMesh(
        static_image_mode=True, refine_landmarks=False, max_num_faces=job.options.faces
    ) as mesh:
        for name, image in job.frames():
            found = mesh.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).multi_face_landmarks or []
            sides = image.shape[1::-1]
            points = [np.array([[point.x, point.y] for point in face.landmark]) * sides for face in found]
            landmarks[name] = [np.round(face, 2).tolist() for face in points]
            job.boxes[name] = [[*face.min(axis=0).tolist(), *face.max(axis=0).tolist()] for face in points]
    (job.out / f"landmarks-{job.options.part[0]}.json").write_text(json.dumps(landmarks))
    job.finish()


if __name__ == "__main__":
    main()
