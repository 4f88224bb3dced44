"""EER movies, written bit by bit: what the decoder of a library reads is then known beforehand.

A page is a TIFF strip of runs: how many pixels have no electron (7 or 8 bits, the largest number meaning that
many and no electron yet), then where in its pixel the next electron fell: two bits across and two up, signed, so
that 0 is the middle. Readers may ignore them.
"""

import struct
from itertools import pairwise

import numpy as np

RUN_BITS = {65001: 7, 65000: 8}
"""Bits of a run, by the number TIFF has for the compression."""

_UNCOMPRESSED = 1
_BIG_TIFF, _HEADER_BYTES = 43, 16
_LONG, _UNDEFINED = 4, 7
_METADATA_TAG, _METADATA = 65001, b"<metadata></metadata>".ljust(24)
"""By this readers know that it is EER."""

_IN_PIXEL = 5


def write_eer(path, frames, compression=65001, *, in_pixel=None, begins_with_sum=False):
    """Write frames of single electrons, bool[F, ny, nx], the first row topmost.

    `in_pixel`, int[F, ny, nx] from 0 to 15, are the bits of the place in a pixel; a file may begin with the sum of all.
    """
    in_pixel = np.full(frames.shape, _IN_PIXEL) if in_pixel is None else in_pixel
    pages = [(compression, 1, _runs(*each, RUN_BITS[compression])) for each in zip(frames, in_pixel, strict=True)]
    if begins_with_sum:
        pages.insert(0, (_UNCOMPRESSED, 16, frames.sum(axis=0, dtype=np.uint16).tobytes()))
    ny, nx = frames.shape[1:]
    places = np.cumsum([_HEADER_BYTES + len(_METADATA), *(len(strip) for *_, strip in pages)])
    tags_of = [
        {256: nx, 257: ny, 258: bits, 259: kind, 262: 1, 273: start, 277: 1, 278: ny, 279: end - start}
        for (kind, bits, _), (start, end) in zip(pages, pairwise(places), strict=True)
    ]
    table = b""
    for number, tags in enumerate(tags_of):
        size = 8 + 20 * (len(tags) + 1) + 8
        following = 0 if number == len(tags_of) - 1 else places[-1] + (number + 1) * size
        entries = [struct.pack("<HHQQ", tag, _LONG, 1, value) for tag, value in tags.items()]
        entries.append(struct.pack("<HHQQ", _METADATA_TAG, _UNDEFINED, len(_METADATA), _HEADER_BYTES))
        table += struct.pack("<Q", len(entries)) + b"".join(entries) + struct.pack("<Q", following)
    head = struct.pack("<2sHHHQ", b"II", _BIG_TIFF, 8, 0, places[-1])
    path.write_bytes(head + _METADATA + b"".join(strip for *_, strip in pages) + table)


def _runs(frame, in_pixel, run_bits):
    """Pack the electrons of a frame, the lowest bit of each number first; padded to whole words."""
    longest = 2**run_bits - 1
    places = np.flatnonzero(frame)
    bits = []
    for gap, place in zip(np.diff(places, prepend=-1) - 1, in_pixel.ravel()[places], strict=True):
        bits += _spelled(gap, longest, run_bits)
        bits += [place >> bit & 1 for bit in range(4)]
    rest = frame.size - 1 - int(places.max(initial=-1))
    bits += _spelled(rest, longest, run_bits)
    return np.packbits([*bits, *[0] * (-len(bits) % 64)], bitorder="little").tobytes()


def _spelled(length, longest, run_bits):
    """Spell a run: as many of the longest as fit, then the rest."""
    return [run >> bit & 1 for run in [longest] * (length // longest) + [length % longest] for bit in range(run_bits)]
