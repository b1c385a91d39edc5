"""Parquet files as groups of whole series, so that a panel of one group at a time is in memory.

Rows of a series may be in any file. One pass writes each row to the group of its series, a file of Arrow on this machine; the
hash of a name says which group it is in.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.data.reading.file_set import FileSet, data_set, redundant_keys
from forecaster.data.reading.joined_columns import joined_name
from forecaster.errors import DataError
from forecaster.storage.files import saying_why, sync

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.typing import IntArray

GROUP_ROWS = 1_000_000  # about as many rows of a group, which decides how much memory a forecast takes
MAX_GROUPS = 500  # files that are written at once
BATCH_ROWS = 131_072  # rows that are divided at once
DONE = "divided"  # the file that says that all rows are in their groups
_WEIGHTS = np.random.default_rng(1).integers(1, 1 << 63, 4096, dtype=np.uint64) | np.uint64(1)  # the hash's own: fixed


@dataclass(frozen=True)
class SeriesGroups:
    """Files with the rows of whole series each."""

    folder: Path
    count: int

    def path(self, group: int) -> Path:
        """The file of a group, counted from 0."""
        return self.folder / f"group-{group:05}.arrow"

    def buffer(self, group: int) -> Any:
        """The bytes of a group's file, which `GroupRows.of` reads: pyarrow's buffer, of memory that is mapped."""
        import pyarrow as pa

        with pa.memory_map(str(self.path(group))) as file:
            return file.read_buffer()


@dataclass(frozen=True)
class GroupRows:
    """The rows of a group; there may be none."""

    table: Any  # pyarrow's

    @classmethod
    def of(cls, buffer: Any) -> GroupRows:
        """Those in the bytes of a group's file."""
        import pyarrow as pa

        return cls(pa.ipc.open_file(buffer).read_all())

    def latest(self, column: str, *, has_zone: bool) -> int | None:
        """The latest timestamp in microseconds since 1970; None where its column is not typed as such a time."""
        import pyarrow as pa
        import pyarrow.compute as pc

        found = self.table.column(column)
        if not pa.types.is_timestamp(found.type) or (found.type.tz is not None) != has_zone or not len(found):
            return None
        value = pc.max(found).cast(pa.timestamp("us", tz=found.type.tz), safe=False).value
        return None if value is None else int(value)

    def names(self, series: Sequence[str]) -> tuple[str, ...]:
        """The names of the series, which these columns have."""
        if not series:
            return ("all",)
        names = self.table.select(list(series)).to_pandas().drop_duplicates().astype(str).to_numpy()
        return tuple(joined_name([*map(str, row)]) if len(row) > 1 else str(row[0]) for row in names)

    def unobserved(self, series: Sequence[str], target: str) -> tuple[str, ...]:
        """The names of the series where none of them has a target; else nothing."""
        if not self.table.num_rows or self.table.column(target).null_count < self.table.num_rows:
            return ()
        return self.names(series)

    def frame(self) -> pd.DataFrame:
        """The rows."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame


def group_count(file_set: FileSet) -> int:
    """How many groups the rows are divided into."""
    rows = int(data_set(file_set).count_rows())
    return max(1, min(MAX_GROUPS, -(-rows // GROUP_ROWS)))


def divided(file_set: FileSet, series: Sequence[str], columns: Sequence[str], folder: Path, count: int) -> SeriesGroups:
    """The rows of all files in `count` groups of whole series, in a folder; what a killed run has left there is used if it
    is complete.

    `series`: the columns that name a series; empty = all rows are one. `columns`: those to keep; empty = all. DataError where
    a column is not there or the files cannot be read; UsageError where the folder cannot be written.
    """
    groups = SeriesGroups(folder, count if series else 1)
    if (folder / DONE).is_file():
        return groups
    shutil.rmtree(folder, ignore_errors=True)
    found = data_set(file_set)
    kept = [*columns] or [name for name in found.schema.names if name not in redundant_keys(file_set, found.schema)]
    lacking = [name for name in (*series, *kept) if name not in found.schema.names]
    if lacking:
        raise DataError(
            f"{file_set.name}: there is no column '{lacking[0]}'.", "Name the columns as the model has them."
        )
    with saying_why(folder):
        folder.mkdir(parents=True)
        _divide(found, series, list(dict.fromkeys((*series, *kept))), groups, file_set.name)
        (folder / DONE).touch()
        sync(folder)
    return groups


def _divide(found: Any, series: Sequence[str], columns: list[str], groups: SeriesGroups, name: str) -> None:
    """One pass over the rows."""
    import pyarrow as pa

    schema = pa.schema([pa.field(one.name, _plain(one.type)) for one in map(found.schema.field, columns)])
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    scanner = found.scanner(
        columns=columns, batch_size=BATCH_ROWS, batch_readahead=2, fragment_readahead=1, use_threads=False
    )
    with ExitStack() as stack:
        files = [stack.enter_context(groups.path(n).open("wb")) for n in range(groups.count)]
        writers = [stack.enter_context(pa.ipc.new_file(file, schema, options=options)) for file in files]
        try:
            for batch in scanner.to_batches():
                if not batch.num_rows:
                    continue
                plain = pa.RecordBatch.from_arrays(
                    [batch.column(one.name).cast(one.type) for one in schema], schema=schema
                )
                if groups.count == 1:
                    writers[0].write_batch(plain)
                    continue
                group = (_hashes([plain.column(one) for one in series]) % np.uint64(groups.count)).astype(np.uint16)
                order = np.argsort(group, kind="stable")
                ends = np.searchsorted(group[order], np.arange(groups.count), side="right")
                ordered = plain.take(pa.array(order))
                for n, (first, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
                    if end > first:
                        writers[n].write_batch(ordered.slice(first, end - first))
        except pa.ArrowInvalid as error:
            raise DataError(
                f"{name}: a Parquet file cannot be read: {str(error).splitlines()[0]}.", "Write it again."
            ) from None


def _plain(kind: Any) -> Any:
    """A type without a dictionary, which is another in every file."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.large_string() if pa.types.is_string(kind) else kind


def _hashes(columns: Sequence[Any]) -> IntArray:
    """[n] a hash of each row's texts in these columns of Arrow; the same in every run and on every machine."""
    import pyarrow as pa
    import pyarrow.compute as pc

    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        texts = pc.utf8_trim_whitespace(column.cast(pa.large_string()).fill_null(""))  # as the reader takes names
        ends = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
        data = texts.buffers()[2]
        letters = np.frombuffer(data if data is not None else b"", np.uint8)[ends[0] : ends[-1]].astype(np.uint64)
        lengths, starts = np.diff(ends), ends - ends[0]
        place = np.arange(len(letters)) - np.repeat(starts[:-1], lengths)
        sums = np.concatenate(
            [np.zeros(1, np.uint64), np.cumsum((letters + np.uint64(1)) * _WEIGHTS[place % len(_WEIGHTS)])]
        )
        own = sums[starts[1:]] - sums[starts[:-1]]
        mixed = (mixed ^ own) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed  # type: ignore[return-value]
