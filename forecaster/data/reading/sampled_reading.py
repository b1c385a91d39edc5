"""Reads as many whole series as a panel may have rows for.

Parquet files are read in two passes, some rows at once: the first counts the rows of each series, the second keeps those of the
series that were drawn, so that the others are never in memory. Other sources are read as a whole before the series are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.data.panel import SeriesSample
from forecaster.data.reading.file_set import FileSet, data_set, find_file_set, is_file_set, redundant_keys
from forecaster.data.reading.joined_columns import parts_of
from forecaster.data.reading.number_form import PLAIN
from forecaster.data.reading.open_table import form_given
from forecaster.data.reading.reader import panel_of, read_as, roles_in
from forecaster.data.series_sample import SampleOptions, evenly_sampled, sampled
from forecaster.errors import DataError
from forecaster.storage.addresses import is_url

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.data.reading.frames import FrameTable
    from forecaster.data.reading.read_options import ReadOptions
    from forecaster.typing import Data

BATCH_ROWS = 131_072  # rows that are in memory besides those that are kept


def read_sample(source: Data, options: ReadOptions, wanted: SampleOptions) -> Panel:
    """The panel of some of the series, of no more rows than wanted. DataError and UsageError as in `read_as` and `sampled`.

    Rows of series that are left out are not checked where the source is Parquet.
    """
    found = _of_parquet(source, options, wanted)
    return sampled(read_as(source, options) if found is None else found, wanted)


def _of_parquet(source: Data, options: ReadOptions, wanted: SampleOptions) -> Panel | None:
    """The panel of the sampled series of Parquet files; None for another source, and where no series are to be left out."""
    file_set = _parquet_files(source)
    if file_set is None:
        return None
    rows = _Rows.of(file_set)
    try:
        table = rows.sampled_table(options, wanted)
    except (OSError, ValueError):  # what pyarrow raises is one of these: reading all says what is wrong
        return None
    if table is None:
        return None
    panel = panel_of(table.frame, options)
    if parts_of(str(panel.columns.series), table.frame.columns) != table.keys:
        return None  # more rows showed other columns
    return replace(panel, sample=table.sample)


def _parquet_files(source: Data) -> FileSet | None:
    """The Parquet files that a source names; one under a URL is read as a whole, as is what is no Parquet file."""
    if not isinstance(source, (str, Path)):
        return None
    if is_file_set(source):
        found = find_file_set(str(source))
        return found if found.parquet else None
    path = str(source)
    if is_url(path) or not path.endswith((".parquet", ".pq")) or not Path(path).is_file():
        return None
    return FileSet(path, (path,), parquet=True)


@dataclass(frozen=True)
class _SampledTable:
    """Rows of the series that were drawn."""

    frame: FrameTable
    keys: tuple[str, ...]  # the columns that name a series
    sample: SeriesSample


@dataclass(frozen=True)
class _Rows:
    """The rows of Parquet files, some at once, in the order of the files."""

    file_set: FileSet
    data: Any  # pyarrow's data set
    columns: tuple[str, ...]

    @classmethod
    def of(cls, file_set: FileSet) -> _Rows:
        """Those of all columns that say something. DataError where the files cannot be read as one table."""
        found = data_set(file_set)
        left_out = redundant_keys(file_set, found.schema)
        return cls(file_set, found, tuple(name for name in found.schema.names if name not in left_out))

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """These columns of the rows, in order."""
        scanner = self.data.scanner(
            columns=[*columns], batch_size=BATCH_ROWS, batch_readahead=1, fragment_readahead=1, use_threads=False
        )
        return (one for one in scanner.to_batches() if one.num_rows)

    def sampled_table(self, options: ReadOptions, wanted: SampleOptions) -> _SampledTable | None:
        """The rows of the series that are drawn; None where all fit, and where no column of series is clear at first sight."""
        if self.data.count_rows() <= wanted.max_rows:
            return None
        found = self._keys(options)
        if found is None:
            return None
        keys, targets = found
        counts = self._counts(keys)
        if counts is None:
            return None
        each = np.array(list(counts.values()), np.int64)
        wanted = replace(wanted, max_rows=max(wanted.max_rows // targets, 1))
        chosen = evenly_sampled(each, wanted)
        if len(chosen) == len(each):
            return None
        names = list(counts)
        frame, origin = self._frame(keys, [names[i] for i in chosen])
        from forecaster.data.reading.frames import FrameTable

        table = FrameTable(self.file_set.name, frame, form=form_given(options.text) or PLAIN, origin=origin)
        sample = SeriesSample(
            max_rows=wanted.max_rows * targets,
            series=len(chosen) * targets,
            rows=int(each[chosen].sum()) * targets,
            of_series=len(each) * targets,
            of_rows=int(each.sum()) * targets,
        )
        return _SampledTable(table, keys, sample)

    def _keys(self, options: ReadOptions) -> tuple[tuple[str, ...], int] | None:
        """The columns that name a series, and how many targets each has, as the first rows show them; None = not clear."""
        from forecaster.data.reading.frames import FrameTable

        head = next(self.batches(self.columns), None)
        if head is None:
            return None
        try:
            table = FrameTable(self.file_set.name, head.to_pandas(), form=form_given(options.text) or PLAIN)
            roles = roles_in(table, options)
        except DataError:  # reading all rows says it, or finds that it is none
            return None
        return (parts_of(roles.series, table.columns), max(len(roles.targets), 1)) if roles.series else None

    def _counts(self, keys: Sequence[str]) -> dict[Any, int] | None:
        """The rows of each series by its key, in order of first appearance; None where a row has none."""
        import pyarrow.compute as pc

        counts: dict[Any, int] = {}
        for batch in self.batches(keys):
            key = _key_of(batch, keys)
            if key.null_count:
                return None
            for one in pc.value_counts(key).to_pylist():
                counts[one["values"]] = counts.get(one["values"], 0) + one["counts"]
        return counts

    def _frame(self, keys: Sequence[str], chosen: list[Any]) -> tuple[Any, Any]:
        """The rows of these series as a data frame, and [R] which rows of the files they are."""
        import pyarrow as pa
        import pyarrow.compute as pc

        kept, origin, before, values = [], [], 0, None
        for batch in self.batches(self.columns):
            key = _key_of(batch, keys)
            values = pa.array(chosen, type=key.type) if values is None else values
            mask = pc.is_in(key, value_set=values)
            places = np.flatnonzero(mask.to_numpy(zero_copy_only=False))
            if len(places):
                kept.append(_as_categories(batch.filter(mask)))
                origin.append((places + before).astype(np.uint32 if before < 1 << 31 else np.int64))
            before += batch.num_rows
        table = pa.Table.from_batches(kept).unify_dictionaries()
        kept.clear()
        frame = table.to_pandas(split_blocks=True, self_destruct=True)
        del table
        pa.default_memory_pool().release_unused()
        return frame, np.concatenate(origin)


def _key_of(batch: Any, keys: Sequence[str]) -> Any:
    """[n] what names the series of each row: the value of its column, or the texts of several, without spaces around them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [batch.column(name) for name in keys]
    plain = [one.dictionary_decode() if pa.types.is_dictionary(one.type) else one for one in columns]
    if len(plain) == 1:
        is_text = pa.types.is_string(plain[0].type) or pa.types.is_large_string(plain[0].type)
        return pc.utf8_trim_whitespace(plain[0]) if is_text else plain[0]
    texts = (pc.utf8_trim_whitespace(one.cast(pa.large_string())) for one in plain)
    return pc.binary_join_element_wise(*texts, "\0")


def _as_categories(batch: Any) -> Any:
    """The rows with columns of text as categories, which keep each text once."""
    import pyarrow as pa

    columns = [
        one.dictionary_encode() if pa.types.is_string(one.type) or pa.types.is_large_string(one.type) else one
        for one in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
