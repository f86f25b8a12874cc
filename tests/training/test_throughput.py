from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from vit_hf.training.throughput import DataMeter


class Clock(SimpleNamespace):
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def slowly(clock: Clock, seconds: float, count: int) -> Iterator[int]:
    for number in range(count):
        clock.now += seconds
        yield number


def test_the_share_is_of_waiting_in_waiting_and_working():
    clock = Clock()
    meter = DataMeter(clock)
    for _ in meter.watch(slowly(clock, 1.0, 5)):
        clock.now += 3.0
    assert meter.share() == pytest.approx(0.25)
    assert meter.share() is None


def test_each_share_is_of_the_time_since_the_last():
    clock = Clock()
    meter = DataMeter(clock)
    batches = meter.watch(slowly(clock, 1.0, 4))
    next(batches)
    clock.now += 9.0
    assert meter.share() == pytest.approx(0.1)
    next(batches)
    clock.now += 1.0
    assert meter.share() == pytest.approx(0.5)


def test_an_evaluation_between_two_steps_counts_for_nothing():
    clock = Clock()
    meter = DataMeter(clock)
    batches = meter.watch(slowly(clock, 1.0, 4))
    next(batches)
    clock.now += 1.0
    meter.pause()
    clock.now += 100.0
    next(batches)
    assert meter.share() == pytest.approx(2 / 3)


def test_advice_is_given_once_and_only_to_those_who_wait():
    clock = Clock()
    meter = DataMeter(clock)
    list(meter.watch(slowly(clock, 1.0, 19)))
    assert meter.advice(0.9, 0) is None
    list(meter.watch(slowly(clock, 1.0, 1)))
    assert meter.advice(0.1, 0) is None
    assert meter.advice(None, 0) is None
    advice = meter.advice(0.35, 2)
    assert advice is not None
    assert "35% of the time" in advice
    assert "dataloader_num_workers 4" in advice
    assert meter.advice(0.9, 2) is None


def test_a_stream_is_not_told_to_keep_what_it_cannot_keep():
    clock = Clock()
    advice = []
    for streamed in (False, True):
        meter = DataMeter(clock)
        list(meter.watch(slowly(clock, 1.0, 20)))
        advice.append(meter.advice(0.5, 0, streamed=streamed) or "")
    assert "--data.cache" in advice[0]
    assert "--data" not in advice[1]
    assert "dataloader_num_workers 2" in advice[1]
