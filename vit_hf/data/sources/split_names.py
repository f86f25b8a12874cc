"""What people call the parts of a data set: train, validation and test in their many spellings."""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

SPLIT_WORDS = {
    "train": ("train", "training", "trn", "trainval"),
    "validation": ("validation", "validate", "valid", "val", "dev", "devel", "eval", "evaluation"),
    "test": ("test", "testing", "tst"),
}
SPLITS = {word: split for split, words in SPLIT_WORDS.items() for word in words}
# What stands beside such a word, or alone, without naming anything.
SUFFIXES = ("set", "sets", "data", "dataset", "split", "images", "image", "imgs", "img", "files", "photos", "videos")
EMPTY_WORDS = (
    "all archive aug augmented clips cropped crops data dataset datasets dir examples file files final folder frames "
    "full image imagefolder images img imgs jpeg jpegimages jpegs jpg jpgs labeled labelled label labels list media my "
    "new of original part photo photos pic pics picture pictures png pngs raw resized sample samples set sets shard "
    "split splits the unlabeled unlabelled unknown video videos v"
)
SAYS_NOTHING = frozenset(EMPTY_WORDS.split())


def composed(name: str) -> str:
    """One spelling of letters that Unicode writes in several ways, as file systems do: é, or e and an accent."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


class SplitName(NamedTuple):
    """rest: the other words of a name that mean something, as `flowers` of flowers_train."""

    split: str
    rest: tuple[str, ...]


def word_of_split(word: str) -> str | None:
    """train, trainset or imagestrain -> train"""
    if word in SPLITS:
        return SPLITS[word]
    for other in SUFFIXES:
        if (found := SPLITS.get(word.removesuffix(other)) or SPLITS.get(word.removeprefix(other))) is not None:
            return found
    return None


def words_of_name(name: str) -> list[str]:
    """Lower case; flowersTrain-2017 -> flowers, train"""
    words = []
    for run in re.findall(r"[^\W\d_]+", composed(name)):
        cased = [run] if word_of_split(run.lower()) else re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^A-Za-z]+", run)
        words += [word.lower() for word in cased]
    return words


def says_nothing(name: str) -> bool:
    """Whether a name means no class: images, data, or numbers."""
    return all(word in SAYS_NOTHING for word in words_of_name(name))


def spelled(name: str) -> SplitName | None:
    """The split that a name may mean; None also where it names two of them, as test_train does."""
    words = words_of_name(name)
    named = [split for word in words if (split := word_of_split(word))]
    if len(named) != 1:
        return None
    rest = tuple(word for word in words if not word_of_split(word) and word not in SAYS_NOTHING)
    return SplitName(named[0], rest)


def split_called(name: str) -> str | None:
    """The split that is meant by a name which means nothing else: val, VAL, val2017 or images_val -> validation."""
    found = spelled(name)
    return found.split if found and not found.rest else None


def splits_called(names: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """-> the split of each name that surely means one, and of those that perhaps do.

    flowers_train means a split beside flowers_test; train_station may be a class.
    """
    found = {name: spelling for name in names if (spelling := spelled(name))}
    sure, perhaps = {}, {}
    for name, (split, rest) in found.items():
        siblings = {other.split for other in found.values() if other.rest == rest}
        (sure if not rest or len(siblings) > 1 else perhaps)[name] = split
    return sure, perhaps
