"""The process's stdin, stdout and stderr, at the level of file descriptors."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


@contextmanager
def hushed() -> Iterator[None]:
    """Keep the libraries' logs off stderr; tracebacks and our own lines still reach it.

    TensorFlow and onnxruntime log from C++ to descriptor 2, at import and later, and no flag silences all of it. So
    descriptor 2 is the null device meanwhile, and `sys.stderr` writes to a copy of it. Python's warnings and logging are
    turned off.
    """
    import logging
    import warnings

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    before = sys.stderr
    copy = os.dup(2)
    _point_at_nothing(2)
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    encoding, errors = getattr(before, "encoding", None), getattr(before, "errors", None)
    with os.fdopen(os.dup(copy), "w", buffering=1, encoding=encoding, errors=errors) as ours, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.stderr = ours
        try:
            yield
        finally:
            sys.stderr = before
            logging.disable(disabled)
            os.dup2(copy, 2)
            os.close(copy)


def fill_closed() -> None:
    """Open the null device on the standard descriptors that the caller closed, else the next file would get their numbers.

    `sys.stdout` and `sys.stderr` stay None.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


@contextmanager
def unless_broken(stream: TextIO | None) -> Iterator[None]:
    """Leave the block where `stream` cannot be written, and discard what is written to it from then on."""
    try:
        yield
    except (OSError, ValueError):  # a ValueError where it was closed
        with suppress(OSError, ValueError, AttributeError):
            if stream is not None:
                _point_at_nothing(stream.fileno())  # else Python would try again at exit, and fail
                stream.flush()


def drop_stdout() -> None:
    """Discard what could not be written to a closed stdout: Python would try again at exit, and print an error."""
    _point_at_nothing(1)


def _point_at_nothing(descriptor: int) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)
