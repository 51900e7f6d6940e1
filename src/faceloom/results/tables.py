"""Tables: faces as an Arrow table or a pandas DataFrame, with the columns of the export to Parquet."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from faceloom.attributes import ATTRIBUTES
from faceloom.errors import RequestError
from faceloom.formats.record import FrameRecord
from faceloom.formats.registry import format_named

if TYPE_CHECKING:
    import pandas
    import pyarrow

_SPLIT = {one.key: one.columns for one in ATTRIBUTES if len(one.columns) > 1}
"""Lists of numbers that are told apart by name."""
_SHAPES = {one.key: one.shape for one in ATTRIBUTES if len(one.shape) > 1}


def to_arrow(frames: Iterable[FrameRecord]) -> "pyarrow.Table":
    """A row a face, with everything, as `faceloom export --to parquet` writes it.

    Raises:
        RequestError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise RequestError("Arrow tables need pyarrow; pip install 'faceloom[parquet]'") from error
    content = b"".join(piece for _, piece in format_named("parquet").write(frames))
    # Threads gain nothing on lists and texts, and one that begins while a program ends aborts it (pyarrow 26).
    return pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content)).read(use_threads=False)


def to_pandas(frames: Iterable[FrameRecord]) -> "pandas.DataFrame":
    """A row a face, box and pose in columns of their own, points as arrays, without the masks.

    Raises:
        RequestError: pandas or pyarrow is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise RequestError("a DataFrame needs pandas; pip install 'faceloom[pandas]'") from error
    rows = to_arrow(frames).drop_columns(["masks"]).to_pandas(use_threads=False)
    columns: dict[str, Any] = {}
    for name in rows.columns:
        if name in _SPLIT:
            columns |= _split(rows[name], _SPLIT[name])
        elif name in _SHAPES:
            columns[name] = [None if flat is None else flat.reshape(_SHAPES[name]) for flat in rows[name]]
        else:
            columns[name] = rows[name]
    return pandas.DataFrame(columns, index=rows.index)


def _split(lists: Iterable[Any], names: tuple[str, ...]) -> dict[str, Any]:
    """A column for each place of lists that may be missing."""
    nothing = np.full(len(names), np.nan)
    values = np.array([nothing if one is None else one for one in lists], np.float64).reshape(-1, len(names))
    return dict(zip(names, values.T, strict=True))
