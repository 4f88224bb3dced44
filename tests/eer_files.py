"""EER movies, written bit by bit: what the decoder of a library reads is then known beforehand.

A page is a TIFF strip of runs: how many pixels have no electron (7 or 8 bits, the largest number meaning that
many and no electron yet), then where in its pixel the next electron fell (4 bits, which readers may ignore).
"""

import struct
from itertools import pairwise

import numpy as np

RUN_BITS = {65001: 7, 65000: 8}
"""Bits of a run, by the number TIFF has for the compression."""

_BIG_TIFF, _HEADER_BYTES = 43, 16
_LONG, _UNDEFINED = 4, 7
_METADATA_TAG, _METADATA = 65001, b"<metadata></metadata>".ljust(24)
"""By this readers know that it is EER."""

_IN_PIXEL = 5


def write_eer(path, frames, compression=65001):
    """Write frames of single electrons, bool[F, ny, nx], the first row topmost."""
    strips = [_METADATA, *(_runs(frame, RUN_BITS[compression]) for frame in frames)]
    ny, nx = frames.shape[1:]
    places = np.cumsum([_HEADER_BYTES, *(len(strip) for strip in strips)])
    tags_of = [
        {256: nx, 257: ny, 258: 1, 259: compression, 262: 1, 273: start, 277: 1, 278: ny, 279: end - start}
        for start, end in pairwise(places[1:])
    ]
    table = b""
    for number, tags in enumerate(tags_of):
        size = 8 + 20 * (len(tags) + 1) + 8
        following = 0 if number == len(tags_of) - 1 else places[-1] + (number + 1) * size
        entries = [struct.pack("<HHQQ", tag, _LONG, 1, value) for tag, value in tags.items()]
        entries.append(struct.pack("<HHQQ", _METADATA_TAG, _UNDEFINED, len(_METADATA), places[0]))
        table += struct.pack("<Q", len(entries)) + b"".join(entries) + struct.pack("<Q", following)
    path.write_bytes(struct.pack("<2sHHHQ", b"II", _BIG_TIFF, 8, 0, places[-1]) + b"".join(strips) + table)


def _runs(frame, run_bits):
    """Pack the electrons of a frame, the lowest bit of each number first; padded to whole words."""
    longest = 2**run_bits - 1
    bits = []
    for gap in np.diff(np.flatnonzero(frame.ravel()), prepend=-1) - 1:
        for run in [longest] * (gap // longest) + [gap % longest]:
            bits += [run >> bit & 1 for bit in range(run_bits)]
        bits += [_IN_PIXEL >> bit & 1 for bit in range(4)]
    rest = frame.size - 1 - int(np.flatnonzero(frame.ravel()).max(initial=-1))
    for run in [longest] * (rest // longest) + [rest % longest]:
        bits += [run >> bit & 1 for bit in range(run_bits)]
    return np.packbits([*bits, *[0] * (-len(bits) % 64)], bitorder="little").tobytes()
