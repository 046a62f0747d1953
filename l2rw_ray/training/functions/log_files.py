"""Read scalars from the logs of TensorBoard and of Weights & Biases, without either package.

Both append protocol buffers to a file: TensorBoard as TFRecords, Weights & Biases in LevelDB's log format.
Checksums are not compared; a record that a killed script left half-written ends the file.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Series = dict[str, dict[int, float]]
"""Values by name and step."""
_BLOCK = 32768
"""Bytes of a block of LevelDB's format; no record of it crosses one."""
_FULL, _LAST = 1, 4
"""Kinds of records of LevelDB's format: a whole entry, and the last part of one."""
_WANDB_HEADER, _RECORD_HEADER = 7, 7
_MAX_VARINT_BYTES = 10


def tensorboard_scalars(file: Path) -> Series:
    """Return the scalars of an event file by tag.

    Source: `event.proto` and `summary.proto` of TensorFlow.
    """
    series: Series = {}
    for record in _tf_records(file.read_bytes()):
        event = _fields(record)
        step = event.get(2, [0])[0]
        for summary in event.get(5, []):
            for value in map(_fields, _fields(summary).get(1, [])):
                number = _scalar(value)
                if number is not None:
                    series.setdefault(value[1][0].decode(), {})[step] = number
    return series


def wandb_scalars(file: Path) -> Series:
    """Return the numbers of the log of an offline run by key, those of its summary alone at step 0.

    Parts of a nested key are joined by dots. Keys that begin with an underscore are the tool's own.

    Source: `wandb_internal.proto` of wandb.
    """
    series: Series = {}
    summary: dict[str, float] = {}
    for number, record in enumerate(map(_fields, _leveldb_entries(file.read_bytes()))):
        for history in map(_fields, record.get(2, [])):
            values = _numbers(history)
            step = _fields(history[2][0]).get(1, [0])[0] if 2 in history else number
            for name, value in values.items():
                series.setdefault(name, {})[step] = value
        for update in map(_fields, record.get(3, [])):
            summary |= _numbers(update)
    return series | {name: {0: value} for name, value in summary.items() if name not in series}


def _numbers(record: Mapping[int, list[Any]]) -> dict[str, float]:
    """Return the numbers among the items of a history record or a summary, NaN and infinities included."""
    found = {}
    for item in map(_fields, record.get(1, [])):
        key = [part.decode() for part in (*item.get(1, []), *item.get(2, []))]
        try:
            value = json.loads(item[16][0])
        except (KeyError, ValueError):
            continue
        if isinstance(value, int | float) and not key[0].startswith("_"):
            found[".".join(part for part in key if part)] = float(value)
    return found


def _scalar(value: Mapping[int, list[Any]]) -> float | None:
    """Return the number of a summary's value; None where it is no scalar."""
    if 2 in value:
        return float(struct.unpack("<f", value[2][0])[0])
    if 8 not in value:
        return None
    tensor = _fields(value[8][0])
    if any(_fields(each) for shape in tensor.get(2, []) for each in _fields(shape).get(2, [])):
        return None  # it has a dimension
    kinds = {1: ("<f", 5), 2: ("<d", 6)}
    form, place = kinds.get(tensor.get(1, [0])[0], ("", 0))
    given = tensor.get(place) or tensor.get(4)
    if not form or not given or len(given[0]) != struct.calcsize(form):
        return None
    return float(struct.unpack(form, given[0])[0])


def _tf_records(data: bytes) -> Iterator[bytes]:
    position = 0
    while position + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, position)
        end = position + 12 + length
        if end + 4 > len(data):
            return
        yield data[position + 12 : end]
        position = end + 4


def _leveldb_entries(data: bytes) -> Iterator[bytes]:
    position, entry = _WANDB_HEADER, b""
    while position + _RECORD_HEADER <= len(data):
        left = _BLOCK - position % _BLOCK
        if left < _RECORD_HEADER:
            position += left
            continue
        length, kind = struct.unpack_from("<HB", data, position + 4)
        start = position + _RECORD_HEADER
        if kind == 0 or start + length > len(data):
            return
        entry += data[start : start + length]
        if kind in (_FULL, _LAST):
            yield entry
            entry = b""
        position = start + length


def _fields(message: bytes) -> dict[int, list[Any]]:
    """Return the fields of a protocol buffer by number: integers, or the bytes of anything else.

    Source: "Encoding" in the documentation of Protocol Buffers.
    """
    found: dict[int, list[Any]] = {}
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        match tag & 7:
            case 0:
                value: Any
                value, position = _varint(message, position)
            case 1:
                value, position = message[position : position + 8], position + 8
            case 2:
                length, position = _varint(message, position)
                value, position = message[position : position + length], position + length
            case 5:
                value, position = message[position : position + 4], position + 4
            case kind:
                raise ValueError(f"no protocol buffer: wire type {kind}")
        found.setdefault(tag >> 3, []).append(value)
    return found


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """Return an integer of variable length, and the position after it."""
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return (value - 2**64 if value >= 2**63 else value), position
        if shift >= 7 * _MAX_VARINT_BYTES:
            raise ValueError(f"no protocol buffer: an integer of more than {_MAX_VARINT_BYTES} bytes")
