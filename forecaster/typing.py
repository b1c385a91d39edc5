"""Types for annotations. Comments give the shapes of arrays: [N] series, [R] rows, [B] windows, [L] context, [H] horizon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
TextArray: TypeAlias = NDArray[Any]  # str objects
Tensor: TypeAlias = Any  # a Keras or TensorFlow tensor

Data: TypeAlias = "str | Path | pd.DataFrame"  # a file's path, "-" for standard input, or a data frame
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
