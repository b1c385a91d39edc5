"""The form of a stored SavedModel: its names follow from what it computes, so equal networks give equal bytes.

TensorFlow numbers functions by a counter that everything in the process has a part in, threads too, and gives each SavedModel
a random identifier.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

MAX_NAME = 1000  # bytes
_NUMBERED = re.compile(r"(.*)_([0-9]+)")


def canonicalize_saved_model(folder: Path) -> None:
    """Number the functions anew, in their order, and remove the random identifier."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString(path.read_bytes())
    for part in saved.meta_graphs:
        functions = part.graph_def.library.function
        _replace(part, _settled([one.signature.name for one in functions]))
        ordered = sorted(functions, key=lambda one: one.signature.name)
        del functions[:]
        functions.extend(ordered)
    path.write_bytes(saved.SerializeToString(deterministic=True))
    (folder / "fingerprint.pb").unlink(missing_ok=True)  # of the file as it was; TensorFlow loads a graph without it


def _settled(names: list[str]) -> dict[str, str]:
    """Old -> new name of each function: the number at its end is its place among those of the same beginning."""
    found: dict[str, str] = {}
    counts: dict[str, int] = {}
    numbered = [(match[1], int(match[2]), name) for name in names if (match := _NUMBERED.fullmatch(name))]
    for beginning, _, name in sorted(numbered):
        counts[beginning] = counts.get(beginning, 0) + 1
        found[name] = f"{beginning}_{counts[beginning]}"
    return found


def _replace(message: Any, names: dict[str, str]) -> None:
    """Replace names wherever a message has them: as a text, an item of a list, or a key or value of a map."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _replace_in_map(value, names)
        elif field.type == field.TYPE_MESSAGE:
            for one in (value,) if hasattr(value, "ListFields") else value:
                _replace(one, names)
        elif field.type == field.TYPE_STRING and isinstance(value, str):
            if value in names:
                setattr(message, field.name, names[value])
        elif field.type == field.TYPE_STRING:
            value[:] = [names.get(one, one) for one in value]
        elif field.type == field.TYPE_BYTES and isinstance(value, bytes) and len(value) < MAX_NAME:
            text = value.decode("latin-1")
            if text in names:
                setattr(message, field.name, names[text].encode())


def _replace_in_map(entries: Any, names: dict[str, str]) -> None:
    for key in list(entries):
        value = entries[key]
        of_messages = hasattr(value, "ListFields")
        if of_messages:
            _replace(value, names)
        elif isinstance(value, str):
            entries[key] = names.get(value, value)
        if isinstance(key, str) and key in names:
            if of_messages:
                entries[names[key]].CopyFrom(entries[key])
            else:
                entries[names[key]] = entries[key]
            del entries[key]
