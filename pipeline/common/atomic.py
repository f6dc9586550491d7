"""Files and folders appear whole or not at all: written under another name, flushed to the disk, then renamed."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def atomic_write(path: Path, data: bytes) -> None:
    """The file with these bytes, in the place of one that is there."""
    with whole_file(path) as f:
        f.write(data)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which becomes `path` when the block ends well, under a name that `gc` clears until then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with part.open("wb") as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        publish(part, path)
    finally:
        part.unlink(missing_ok=True)


def staging_folder(out: Path) -> Path:
    """An empty folder beside `out`, to be published as it; what an interrupted run left there is deleted."""
    staging = out.with_name(out.name + ".tmp")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    return staging


def publish(finished: Path, path: Path) -> None:
    """Rename a finished file or folder, so that the new name outlives a power cut."""
    finished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def link(source: Path, target: Path) -> None:
    """The same file under a second name, without a second copy of its bytes where the file system can."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
