"""Preparing a video takes the memory of its clip, however long the video is."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np

RATE, GROUP = 25, 5  # frames in a second, and from one key frame to the next

SCRIPT = """
import resource, sys
from pathlib import Path
from vit_hf.data.augment.plan import AugmentationPlan
from vit_hf.data.batches.load_batches import load_batches
from vit_hf.data.decode.preparation import ClipPreparation
from vit_hf.data.decode.processors import make_video_processor
from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_source
from vit_hf.modality import VIDEO
from vit_hf.models.configuration_timesformer import TimeSformerConfig

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def prepare(folder, augmentations):
    settings = DataSettings(name=folder, on_error="skip")
    own = ClipPreparation(make_video_processor(TimeSformerConfig(image_size=224, patch_size=16, num_frames=96)), 3)
    table = open_source(settings, modality=VIDEO).splits["train"].select([0])
    plan = AugmentationPlan.of(augmentations)
    batches = load_batches(table, own, settings, split="train", plan=plan, classes=2)
    shape = batches.__getitems__([0])["pixel_values"].shape
    assert shape == (1, 96, 3, 224, 224), shape

every = {"random_clip": True, "random_resized_crop": {"scale": [0.5, 1.0]}}
prepare(sys.argv[1], every)
before = peak()
for augmentations in ({"random_clip": True}, {"random_resized_crop": {"scale": [0.5, 1.0]}}, every):
    prepare(sys.argv[2], augmentations)
print(peak() - before)
"""


def repeated_film(file: Path, groups: int, width: int, height: int) -> Path:
    """The same frames over and over, which no encoder has to make more than once."""
    file.parent.mkdir(parents=True, exist_ok=True)
    few = file.parent.parent / "few.mp4"
    with av.open(str(few), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = GROUP
        for number in range(GROUP):
            gray = np.full((height, width, 3), 50 * number, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(gray, format="rgb24")))
        container.mux(stream.encode())
    with av.open(str(few)) as given:
        packets: list[Any] = [packet for packet in given.demux(video=0) if packet.dts is not None]
        content = [(bytes(packet), packet.pts, packet.dts, packet.is_keyframe) for packet in packets]
        step, base = packets[0].duration * GROUP, packets[0].time_base
        with av.open(str(file), "w") as container:
            stream = container.add_stream_from_template(given.streams.video[0])
            for group in range(groups):
                for data, shown, decoded, key in content:
                    packet: Any = av.Packet(data)
                    packet.pts, packet.dts, packet.time_base = shown + group * step, decoded + group * step, base
                    packet.is_keyframe, packet.stream = key, stream
                    container.mux(packet)
    few.unlink()
    return file


def test_a_film_of_ten_minutes_takes_less_than_300_megabytes(tmp_path: Path):
    for name in ("a", "b"):
        repeated_film(tmp_path / "short" / name / "1.mp4", 1, 64, 36)
        repeated_film(tmp_path / "long" / name / "1.mp4", 600 * RATE // GROUP if name == "a" else 1, 1920, 1080)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "short"), str(tmp_path / "long")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 0 <= float(done.stdout.split()[-1]) < 300
