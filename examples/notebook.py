"""Notebook: looking through a result folder, a cell at a time; editors open this file as a notebook.

As a script, beside a result folder `faces`, it writes what a notebook would show to the page `sheet.html`:

    python examples/notebook.py
"""

# %% The result folder, as `faceloom.extract("holiday", "faces")` makes it.
from pathlib import Path

import faceloom

results = faceloom.open("faces")
results

# %% What is in it?
print(f"{len(results)} faces of {len(results.sources)} sources; {len(results.failures)} frames failed")

# %% Large, sharp, frontal faces: a notebook shows a contact sheet of a selection.
best = results.faces(min_size=60, min_sharpness=50, max_yaw=20, max_pitch=20)
best

# %% One face, and a frame as it was streamed: both show themselves.
first = next(iter(best), None)
first

# %% The numbers, for plots and statistics (pip install 'faceloom[pandas]').
sizes = [float(max(face.box[2] - face.box[0], face.box[3] - face.box[1])) for face in best]
print(f"{len(sizes)} of them, the largest {max(sizes, default=0):.0f} pixels")

# %% The contact sheet as a page.
Path("sheet.html").write_text(f"<!doctype html><title>faces</title>{best._repr_html_()}", encoding="utf-8")
