"""Whether a job was done already: what it would read now, and whether what it wrote is still there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecaster.commands.series_files import SERIES
from forecaster.config import (
    CheckSettings,
    EvaluateSettings,
    MonitorSettings,
    PredictSettings,
    PruneSettings,
    TrainSettings,
)
from forecaster.data.reading.file_set import find_file_set, is_file_set
from forecaster.errors import ArtifactError, ForecasterError
from forecaster.serving.integrity import MANIFEST
from forecaster.serving.open_model import model_of_data
from forecaster.serving.remote_store import at_hand
from forecaster.serving.store import Store, name_from_path
from forecaster.serving.version_folders import CURRENT
from forecaster.storage.addresses import is_database, is_remote, is_url, without_secrets
from forecaster.storage.files import is_file
from forecaster.typing import Silent
from forecaster.version import __version__

if TYPE_CHECKING:
    from forecaster.commands.batch.jobs import BatchJob

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class FileState:
    """The properties of a file that change when it is written or replaced."""

    device: int
    inode: int
    size: int  # bytes
    written_ns: int  # since 1970; anybody can set it
    changed_ns: int  # since 1970, by the system's own count


@dataclass(frozen=True)
class Inputs:
    """All that a job reads, at one moment."""

    key: str  # as `job_key`
    states: tuple[FileState | None, ...]  # of each file that it reads

    def key_of_what_was_read(self, after: Inputs) -> str:
        """The key of these inputs if they were still the same `after` the job; else empty, so that the job runs again.

        Files that changed and changed back have another state: nobody knows which of their contents was read.
        """
        return self.key if self == after else ""


def inputs_of(job: BatchJob) -> Inputs:
    """What the job would read now. The states are from before the contents."""
    states = tuple(map(file_state, _sources(job)))
    return Inputs(job_key(job), states)


def job_key(job: BatchJob) -> str:
    """Hash of the data's bytes, the model's version, the options and the program's version.

    Empty where a file is missing: such a job is never skipped.
    """
    settings = job.settings
    if isinstance(settings, PredictSettings) and (settings.max_age is not None or settings.drop_incomplete):
        return ""  # the outcome depends on the time
    if isinstance(settings, (MonitorSettings, PruneSettings)):
        return ""  # the outcome depends on what other jobs write
    digest = hashlib.sha256(__version__.encode())
    # A hash of a password could be searched for.
    data, output = (None if one is None else without_secrets(one) for one in (job.data, job.output))
    digest.update(json.dumps([job.command, data, output, _plain(settings)], sort_keys=True).encode())
    try:
        if _reads_model(job):
            digest.update((version_folder(job) / MANIFEST).read_bytes())
        place = data_place(job)
        # The content of a pipe is known only by reading it.
        if place is None or not (is_url(place) or is_file_set(place) or is_file(place)):
            return ""
        _add_content(digest, place)
        for source in _more_inputs(job):
            _add_content(digest, source)
    except (OSError, ForecasterError):
        return ""
    return digest.hexdigest()


def outputs_are_there(job: BatchJob, files: Sequence[str]) -> bool:
    """Whether all that the job wrote is there. `files`: names of the files of its series, where each has its own."""
    if isinstance(job.settings, TrainSettings) and not _has_model(job, job.settings):
        return False
    others = [place for name, place in job.writes.items() if name != "output" and not is_url(place)]
    if not all(map(is_file, others)):
        return False
    if not job.output:
        return True
    if is_url(job.output):
        return _is_there(job)
    folder, name = Path(job.output).parent, Path(job.output).name
    return all(is_file(folder / one) for one in ((files if SERIES in name else None) or [name]))


def data_place(job: BatchJob) -> str | None:
    """The job's input, a path or a URL: its own, or what its model was trained on. None where it is unknown."""
    if job.data is not None or not isinstance(job.settings, (PredictSettings, EvaluateSettings)):
        return job.data or None
    try:
        place = str(json.loads((version_folder(job) / MANIFEST).read_bytes())["data"]["path"])
    except (OSError, ValueError, KeyError, TypeError, ArtifactError):
        return None
    return place if Path(place).is_absolute() or is_url(place) else None


def data_path(job: BatchJob) -> Path | None:
    """The job's input where it is a file of this machine; None where it is elsewhere or unknown."""
    place = data_place(job)
    return None if place is None or is_url(place) or is_file_set(place) else Path(place)


def _plain(settings: Any) -> dict[str, object]:
    """The settings by name, URLs without their secrets."""
    return {name: without_secrets(one) if isinstance(one, str) else one for name, one in asdict(settings).items()}


def _add_content(digest: Any, source: str | Path) -> None:
    """Add the bytes of a file, or the rows of a query, to a hash. OSError and ForecasterError where they cannot be read."""
    if is_database(source):
        from forecaster.storage.database import fingerprint

        digest.update(fingerprint(str(source)).encode())
        return
    if is_file_set(source):
        file_set = find_file_set(str(source))
        protocol = f"{str(source).partition('://')[0]}://" if file_set.place is not None else ""
        for piece in file_set.files:
            digest.update(piece.encode("utf-8", "surrogateescape"))
            _add_content(digest, f"{protocol}{piece}")
        return
    if is_remote(source):
        from forecaster.storage.remote import state

        digest.update(state(str(source)).encode())
        return
    with Path(source).open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            digest.update(block)


def _is_there(job: BatchJob) -> bool:
    """Whether a file elsewhere is there, or a table with rows of the job's model."""
    output = str(job.output)
    try:
        if is_remote(output):
            from forecaster.storage.remote import is_there

            return is_there(output)
        from forecaster.storage.database import has_rows

        folder = version_folder(job) if _reads_model(job) else None
        return has_rows(output, None if folder is None else f"{folder.parent.name}@{folder.name}")
    except ForecasterError:
        return False


def file_state(path: Path) -> FileState | None:
    """The state of a file; None for a missing or empty file."""
    try:
        found = path.stat()
    except OSError:
        return None
    if not found.st_size:
        return None
    return FileState(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _sources(job: BatchJob) -> Iterator[Path]:
    """The files that decide what the job does."""
    if path := data_path(job):
        yield path
    yield from (Path(name) for name in _more_inputs(job) if not is_url(name))
    if _reads_model(job):
        try:
            folder = version_folder(job)
        except ForecasterError:
            return
        yield folder / MANIFEST
        yield folder.parent / CURRENT


def _reads_model(job: BatchJob) -> bool:
    """Whether a stored version decides what the job does."""
    if isinstance(job.settings, CheckSettings):
        return job.settings.model is not None
    if isinstance(job.settings, TrainSettings):
        return job.settings.start_from is not None
    return isinstance(job.settings, (PredictSettings, EvaluateSettings))


def _has_model(job: BatchJob, settings: TrainSettings) -> bool:
    """Whether the model that the job trains is in the store, where that is on this machine."""
    return is_url(settings.models) or Store(Path(settings.models)).has(settings.name or name_from_path(str(job.data)))


def _more_inputs(job: BatchJob) -> list[str]:
    """The files of known values ahead and of events, where the job has some."""
    named = [getattr(job.settings, option, None) for option in ("future", "events")]
    return [str(name) for name in named if name]


def version_folder(job: BatchJob) -> Path:
    """The version of the model that the job reads, by the same rules. ForecasterError where there is none."""
    settings = at_hand(job.settings)
    match settings:
        case PredictSettings():
            model = model_of_data(job.data, settings, Silent())[1].model
        case EvaluateSettings():
            model = model_of_data(job.data, settings, Silent())[1].model
        case TrainSettings():
            model = settings.start_from
        case _:
            model = getattr(settings, "model", None)
    return Store(Path(settings.models)).resolve(model)
