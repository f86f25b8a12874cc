"""Small films, written on the spot, and what a decoder makes of all of one."""

from pathlib import Path
from typing import Any

import av
import av.error as av_error
import numpy as np

HEIGHT, WIDTH = 36, 48


def pictures(count: int, height: int = HEIGHT, width: int = WIDTH) -> list[np.ndarray]:
    """t h w c: smooth, no two alike, in no symmetry."""
    rows, columns = np.mgrid[:height, :width]
    return [
        np.stack([3 * rows + 4 * number, 4 * columns + 2 * number, rows + columns + 5 * number], -1).astype(np.uint8)
        for number in range(count)
    ]


def write_film(
    file: Path,
    codec: str,
    pixels: str = "yuv420p",
    *,
    count=30,
    key_every=6,
    between=0,
    turned=0,
    shape=None,
    **options,
):
    """A film with a key frame in `key_every` frames and up to `between` frames that need a later one."""
    with av.open(str(file), "w", options=options.pop("container", {})) as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        height, width = (HEIGHT, WIDTH) if codec != "libx265" else (96, 128)  # which writes beyond smaller ones
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = key_every, between
        if shape is not None:  # of a pixel: width / height
            stream.codec_context.sample_aspect_ratio = stream.sample_aspect_ratio = shape
        if turned:
            stream.set_display_rotation(turned)
        for picture in pictures(count, height, width):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return file


def decoded_in_order(file: Path) -> list[np.ndarray]:
    with av.open(str(file)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def with_flipped_bits(file: Path, packet: int, seed: int) -> Path:
    """Some bits in the middle of one packet are others."""
    with av.open(str(file)) as container:
        packets = [one for one in container.demux(video=0) if one.size]
        place, size = packets[packet].pos, packets[packet].size
    content, dice = bytearray(file.read_bytes()), np.random.default_rng(seed)
    for offset in dice.integers(size // 3, size, 6):
        content[place + offset] ^= 1 << dice.integers(8)
    file.write_bytes(content)
    return file


def damage_found(file: Path) -> str | None:
    """What a decoder of one thread says of a film: "raises", or that some frames are "marked"; None: nothing."""
    with av.open(str(file)) as container:
        container.streams.video[0].thread_type = "SLICE"
        try:
            marked = sum(frame.is_corrupt for frame in container.decode(video=0))
            return "marked" if marked else None
        except av_error.FFmpegError:
            return "raises"


def damaged_film(file: Path, packet: int, found: str) -> Path:
    """36 frames with a key frame in 12, of which one is damaged so that decoders find it so: see `damage_found`."""
    for seed in range(100):
        write_film(file, "libx264", count=36, key_every=12, sc_threshold="0", container={"movflags": "faststart"})
        if damage_found(with_flipped_bits(file, packet, seed)) == found:
            return file
    raise AssertionError(f"No bits of a hundred draws make a decoder say {found!r}.")
