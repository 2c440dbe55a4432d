"""What a disk holds after a power cut, worked out from the log that `powercut.c` writes.

The model is strict: data is on the disk when its file was synced, a name when its directory was. Of everything
else nothing is left, or any part of it, down to the sector. What was unsynced when a sync failed is gone even if
a later sync succeeds, as on Linux, which then takes the pages for clean.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_HEAD = struct.Struct("<cQQI")
SECTOR_BYTES = 512
ACKNOWLEDGED = "acknowledged"
"""The file to which a victim writes what it has promised. It is no part of the disk that loses power."""


@dataclass(frozen=True, slots=True)
class Event:
    """One record of the log; `kind` as in `powercut.c`."""

    kind: str
    inode: int
    offset: int
    data: bytes

    @property
    def is_sync(self) -> bool:
        return self.kind in "SDF"


def read_log(path: Path) -> list[Event]:
    """All of it, in the order in which it happened."""
    log, events, at = path.read_bytes(), [], 0
    while at < len(log):
        kind, inode, offset, length = _HEAD.unpack_from(log, at)
        at += _HEAD.size
        events.append(Event(kind.decode(), inode, offset, log[at : at + length]))
        at += length
    return events


@dataclass(slots=True)
class _File:
    durable: bytearray = field(default_factory=bytearray)
    unsynced: list[Event] = field(default_factory=list)

    def sync(self) -> None:
        for event in self.unsynced:
            _change(self.durable, event)
        self.unsynced.clear()

    def after_cut(self, chance: random.Random | None) -> bytes:
        content = bytearray(self.durable)
        for event in self.unsynced if chance is not None else ():
            assert chance is not None
            for part in _parts(event):
                if chance.random() < 0.5:
                    _change(content, part)
        return bytes(content)


class Disk:
    """A directory on a disk that forgets what was not synced."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """These files are safely on it to begin with."""
        self._names = {name: _File(bytearray(content)) for name, content in files.items()}
        self._durable_names = dict(self._names)
        self._inodes: dict[int, _File] = {}
        self._acknowledgements = 0
        self.acknowledged = ""

    def apply(self, event: Event) -> None:
        """Do what the log says."""
        if event.kind == "O":
            self._open(event.inode, event.data.decode())
        elif event.kind == "U":
            del self._names[event.data.decode()]
        elif event.kind == "D":
            self._durable_names = dict(self._names)
        elif event.inode == self._acknowledgements:
            self.acknowledged += event.data.decode()
        elif event.kind in "WT":
            self._inodes[event.inode].unsynced.append(event)
        elif event.kind == "S":
            self._inodes[event.inode].sync()
        elif event.inode in self._inodes:
            assert event.kind == "F"
            self._inodes[event.inode].unsynced.clear()

    def _open(self, inode: int, name: str) -> None:
        if name == ACKNOWLEDGED:
            self._acknowledgements = inode
        else:
            self._inodes[inode] = self._names.setdefault(name, _File())

    def after_cut(self, chance: random.Random | None = None) -> dict[str, bytes]:
        """Its files after a power cut now.

        Without `chance` nothing unsynced is left. With it, each unsynced sector, truncation and name is or is not.
        """
        return {name: file.after_cut(chance) for name, file in self._names_after_cut(chance)}

    def _names_after_cut(self, chance: random.Random | None) -> Iterator[tuple[str, _File]]:
        for name in sorted({*self._names, *self._durable_names}):
            names = self._durable_names
            if chance is not None and chance.random() < 0.5:
                names = self._names
            if name in names:
                yield name, names[name]


def disk_after(files: Mapping[str, bytes], events: Sequence[Event]) -> Disk:
    disk = Disk(files)
    for event in events:
        disk.apply(event)
    return disk


def write_files(directory: Path, files: Mapping[str, bytes]) -> None:
    """Make a directory with exactly these files."""
    directory.mkdir(parents=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)


def _parts(event: Event) -> Iterator[Event]:
    """The pieces of which each can be lost alone: the sectors that a write touches."""
    if event.kind != "W":
        yield event
        return
    start = 0
    while start < len(event.data):
        length = SECTOR_BYTES - (event.offset + start) % SECTOR_BYTES
        yield Event("W", event.inode, event.offset + start, event.data[start : start + length])
        start += length


def _change(content: bytearray, event: Event) -> None:
    if event.kind == "T":
        del content[event.offset :]
        content.extend(bytes(event.offset - len(content)))
        return
    content.extend(bytes(max(0, event.offset - len(content))))
    content[event.offset : event.offset + len(event.data)] = event.data
