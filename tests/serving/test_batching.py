"""Which items are answered together, how long they wait, and what one's failure is to the others."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from vit_hf.serving.batching import Batcher


def item(number: float, width: int = 1) -> Tensor:
    return torch.full((1, width), number)


def tenfold(items: Sequence[Tensor]) -> Tensor:
    return 10 * torch.cat([*items])


def answers(asked: Callable, *, largest: int = 4, wait: float = 0.0, answer: Callable = tenfold):
    """-> what `asked` (of a batcher) returns, and the sizes of the batches"""
    sizes: list[int] = []

    async def run():
        batcher = Batcher(answer, largest=largest, wait=wait, seen=sizes.append)
        batching = asyncio.create_task(batcher.run())
        try:
            return await asyncio.wait_for(asked(batcher), 20)
        finally:
            batching.cancel()
            batcher.thread.shutdown()

    return asyncio.run(run()), sizes


async def together(batcher: Batcher, items: Sequence[Tensor]) -> list:
    return await asyncio.gather(*map(batcher, items), return_exceptions=True)


def test_items_come_back_in_batches_to_those_who_asked():
    found, sizes = answers(lambda batcher: together(batcher, [item(number) for number in range(9)]))
    assert found == [10 * number for number in range(9)]
    assert sizes == [4, 4, 1]


def test_the_first_waits_for_others_no_longer_than_it_may():
    async def asked(batcher: Batcher) -> float:
        begun = asyncio.get_running_loop().time()
        first = asyncio.create_task(batcher(item(1)))
        await asyncio.sleep(0.05)
        await asyncio.gather(first, batcher(item(2)))
        return asyncio.get_running_loop().time() - begun

    took, sizes = answers(asked, wait=0.2)
    assert sizes == [2]
    assert 0.2 <= took < 2


def test_a_full_batch_waits_for_nobody():
    found, sizes = answers(lambda batcher: together(batcher, [item(1)] * 4), wait=60)
    assert (len(found), sizes) == (4, [4])


def test_items_of_other_sizes_are_answered_apart():
    found, sizes = answers(lambda batcher: together(batcher, [item(1), item(2, width=2), item(3)]))
    assert [one.tolist() for one in found] == [[10], [20, 20], [30]]
    assert sizes == [2, 1]


def test_a_failure_is_told_to_its_batch_and_not_to_the_next():
    def answer(items: Sequence[Tensor]) -> Tensor:
        if item(3) in items:
            raise ValueError("three")
        return torch.cat([*items])

    found, _ = answers(
        lambda batcher: together(batcher, [item(1), item(2), item(3), item(4)]), largest=2, answer=answer
    )
    assert found[:2] == [1, 2]
    assert [str(one) for one in found[2:]] == ["three", "three"]


def test_who_gave_up_is_not_answered():
    async def asked(batcher: Batcher) -> Tensor:
        impatient = asyncio.create_task(batcher(item(1)))
        await asyncio.sleep(0)
        impatient.cancel()
        return await batcher(item(2))

    found, sizes = answers(asked, wait=0.05)
    assert (found, sizes) == (20, [1])


@pytest.mark.parametrize("largest", [1, 3])
def test_no_batch_is_larger_than_it_may_be(largest: int):
    _, sizes = answers(lambda batcher: together(batcher, [item(1)] * 7), largest=largest, wait=0.01)
    assert (sum(sizes), max(sizes)) == (7, largest)
