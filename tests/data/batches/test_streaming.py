from pathlib import Path
from typing import Any

import datasets
import pytest
import torch

from vit_hf.data.batches.streaming import StreamedBatches, StreamLoader

ROWS, FILES, BATCH = 10, 6, 3  # three full batches in each file, and one row over


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Numbers in six parquet files, streamed."""
    folder = tmp_path_factory.mktemp("parquet")
    for file in range(FILES):
        rows = {"number": list(range(file * ROWS, (file + 1) * ROWS))}
        datasets.Dataset.from_dict(rows).to_parquet(folder / f"{file}.parquet")
    files = sorted(map(str, Path(folder).glob("*.parquet")))
    return datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)


def prepare(records, number: int) -> dict[str, torch.Tensor]:
    return {"numbers": torch.tensor([record["number"] for record in records]), "batch": torch.tensor(number)}


def loader(source: Any, *, workers: int = 0, **settings: Any) -> StreamLoader:
    stream = StreamedBatches(source, prepare, **{"batch": BATCH, "block": 6, "workers": workers, **settings})
    return StreamLoader(stream, num_workers=workers)


def take(stream: StreamLoader, count: int) -> list[list[int]]:
    return [batch["numbers"].tolist() for batch, _ in zip(stream, range(count), strict=False)]


@pytest.mark.parametrize(("workers", "stops"), [(0, [1, 5, 8, 21]), (2, [1, 5, 8, 21])])
def test_a_stream_goes_on_behind_the_last_batch_that_was_taken(source: Any, workers: int, stops: list[int]):
    whole = take(loader(source, workers=workers), 40)  # more than two epochs of 18
    for taken in stops:
        first = loader(source, workers=workers)
        begun = []
        for batch in first:
            begun.append(batch["numbers"].tolist())
            if len(begun) == taken:
                break
        second = loader(source, workers=workers)
        second.load_state_dict(first.state_dict())
        assert begun + take(second, 40 - taken) == whole, f"after {taken}"


def test_readers_share_the_shards_and_see_each_row_once_an_epoch(source: Any):
    processes = [take(loader(source, process=process, processes=2), 9) for process in range(2)]
    seen = sorted(number for process in processes for batch in process for number in batch)
    assert len(seen) == len(set(seen)) == 2 * 9 * BATCH
    assert not {n // ROWS for b in processes[0] for n in b} & {n // ROWS for b in processes[1] for n in b}


def test_epochs_and_seeds_shuffle_otherwise_and_numbers_never_repeat(source: Any):
    stream = loader(source)
    batches = [batch for batch, _ in zip(stream, range(36), strict=False)]
    epochs = [[batch["numbers"].tolist() for batch in half] for half in (batches[:18], batches[18:])]
    assert epochs[0] != epochs[1]
    assert take(loader(source, seed=1), 18) != epochs[0]
    assert len({int(batch["batch"]) for batch in batches}) == 36


def test_more_readers_than_shards_are_refused(source: Any):
    with pytest.raises(ValueError, match="need 8 shards, and the data set has 6"):
        loader(source, workers=4, processes=2)


def test_another_number_of_readers_cannot_take_over(source: Any):
    with pytest.raises(ValueError, match="read by 2 readers .* is now by 1"):
        loader(source).load_state_dict(loader(source, processes=2).state_dict())


def test_shards_too_small_for_a_batch_are_named_and_not_read_for_ever(source: Any):
    with pytest.raises(ValueError, match="No shard of reader 0 holds 11 records"):
        take(loader(source, batch=11), 1)
