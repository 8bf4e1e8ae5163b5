"""Random numbers: the published vectors, one set of bits in three libraries, and addresses that do not disturb each other."""

from __future__ import annotations

import itertools
from zlib import crc32

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from defectsynth import load_recipe, preset_names
from defectsynth.errors import InputError
from defectsynth.rng import Ahead, Draws, philox, philox_block, words

WORD = st.integers(0, 2**32 - 1)

# Random123's kat_vectors for philox4x32-10
VECTORS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), VECTORS)
def test_published_vectors(counter, key, expected):
    assert philox(counter, key) == expected


@given(st.tuples(WORD, WORD, WORD, WORD), st.tuples(WORD, WORD))
def test_numpy_and_torch_give_the_bits_of_python_integers(counter, key):
    expected = philox(counter, key)
    in_numpy = philox(tuple(np.array([c], np.uint64) for c in counter), tuple(np.uint64(k) for k in key))
    in_torch = philox(tuple(torch.tensor([c], dtype=torch.int64) for c in counter), key)
    assert tuple(int(word[0]) for word in in_numpy) == expected
    assert tuple(int(word[0]) for word in in_torch) == expected


@given(st.integers(0, 2**64 - 1), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_a_word_does_not_depend_on_how_many_were_asked_for(seed, rows, columns, more_rows, more_columns):
    few = words(seed, (rows, columns))
    many = words(seed, (rows + more_rows, columns + more_columns))
    assert (many[:rows, :columns] == few).all()


def test_words_of_other_seeds_and_tags_differ():
    fields = [words(seed, (4, 5), tag) for seed, tag in itertools.product((1, 2, 2**40), (0, 1))]
    assert all((a != b).any() for a, b in itertools.combinations(fields, 2))


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_order_of_questions_changes_nothing(seed, index):
    forwards, backwards = Draws(seed, index), Draws(seed, index)
    names = ["a", "b", "c"]
    first = [forwards.unit(name) for name in names]
    second = [backwards.unit(name) for name in reversed(names)]
    assert first == second[::-1]


@given(st.integers(0, 2**32), st.floats(1e-4, 10), st.floats(0, 10))
def test_draws_stay_in_their_range(index, low, width):
    draws = Draws(7, index)
    bounds = (low, low + width)
    slack = 1e-5 * bounds[1]  # six significant digits
    assert bounds[0] - slack <= draws.uniform("u", bounds) <= bounds[1] + slack
    assert bounds[0] - slack <= draws.log_uniform("l", bounds) <= bounds[1] + slack
    assert 3 <= draws.integer("i", (3, 9)) <= 9
    assert sorted(draws.subset("s", 5, 5)) == [0, 1, 2, 3, 4]
    assert draws.weighted("w", [0.0, 2.0, 0.0]) == 1


def test_distributions():
    draws = [Draws(11, index) for index in range(4000)]
    assert abs(np.mean([d.unit("x") for d in draws]) - 0.5) < 0.02
    assert abs(np.mean([d.chance("x", 0.3) for d in draws]) - 0.3) < 0.03
    assert abs(np.median([d.log_uniform("x", (0.001, 0.1)) for d in draws]) - 0.01) < 0.001
    counts = np.bincount([d.weighted("x", [1, 2, 1]) for d in draws])
    assert np.allclose(counts / 4000, [0.25, 0.5, 0.25], atol=0.03)
    assert np.allclose(np.bincount([d.integer("x", (0, 4)) for d in draws]) / 4000, 0.2, atol=0.03)


def test_attempts_paths_and_slots_are_apart():
    values = {
        Draws(1, 2).unit("x"),
        Draws(1, 2, attempt=1).unit("x"),
        Draws(1, 2).unit("x", slot=1),
        Draws(1, 2).within("a").unit("x"),
        Draws(1, 3).unit("x"),
        Draws(2, 2).unit("x"),
        Draws(1, 2**32 + 2).unit("x"),
    }
    assert len(values) == 7


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (0, -1), (2**64, 0), (0, 2**64)])
def test_an_address_outside_64_bits_is_refused(seed, index):
    with pytest.raises(InputError, match=r"must be an integer from 0 to 2\*\*64 - 1"):
        Draws(seed, index)


def test_no_two_parameters_of_a_preset_share_an_address():
    asked: set[str] = set()

    class Recording(Draws):
        def _words(self, name, slot):
            asked.add(self._path + name)
            return super()._words(name, slot)

    from defectsynth.banks import Banks

    for name in preset_names():
        for kind in load_recipe(name).kinds.values():
            if not kind.mask.requirements() | kind.source.needs:
                for index in range(40):
                    draws = Recording(0, index, "0.")
                    mask = kind.mask.draw(draws.within("mask"), Banks())
                    kind.source.draw(draws.within("source"), Banks(), mask)
                    kind.blend.draw(draws.within("blend"))
    assert len(asked) > 10
    assert len({crc32(name.encode()) for name in asked}) == len(asked)


@given(st.lists(st.tuples(WORD, WORD, WORD, WORD), min_size=1, max_size=7), st.tuples(WORD, WORD))
def test_a_block_of_counters_gives_the_bits_of_each(counters, key):
    found = philox_block(np.array(counters, np.uint32).T.copy(), key)
    assert [tuple(int(word) for word in four) for four in found.T] == [philox(counter, key) for counter in counters]


@given(st.lists(st.one_of(st.integers(0, 40), st.integers(0, 2**64 - 1)), min_size=1, max_size=12), st.integers(0, 2**64 - 1))
def test_what_is_drawn_ahead_is_what_would_be_drawn(indices, seed):
    ahead = Ahead(seed)
    for index in indices:
        for attempt in (0, 1):
            foreseen, plain = Draws(seed, index, attempt=attempt, ahead=ahead), Draws(seed, index, attempt=attempt)
            for place in range(index % 5 + 1):
                assert foreseen.within("a").noise_seed("b", place) == plain.within("a").noise_seed("b", place)
                assert foreseen.uniform(f"c{place}", (1, 2)) == plain.uniform(f"c{place}", (1, 2))


def test_samples_in_turn_are_drawn_together_and_what_is_new_is_foreseen():
    ahead = Ahead(5)

    def drawn_with(index):
        columns, row = ahead.sample(index)
        assert len(row) == 4 * len(columns)
        return len(columns), ahead._drawn.indices

    assert drawn_with(7) == (0, range(7, 8))
    for parameter in range(8):
        ahead.foresee(str(parameter), 0)
    assert drawn_with(8) == (8, range(8, 9))
    assert drawn_with(9) == drawn_with(24) == (8, range(9, 25))
    assert drawn_with(26)[1].start == 26
    ahead = Ahead(5)
    assert [drawn_with(index)[1] for index in range(100)][-1] == range(81, 145)
    assert drawn_with(1000)[1] == range(1000, 1001)


def test_samples_of_one_normal_picture_are_drawn_together():
    ahead = Ahead(5)
    for picture in range(3):
        blocks = []
        for index in range(picture, 2000, 209):
            ahead.sample(index)
            blocks.append(ahead._drawn.indices)
        assert len(set(blocks)) == (3 if picture == 0 else 2)
        assert blocks[-1].step == 209
