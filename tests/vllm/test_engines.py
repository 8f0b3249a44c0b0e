"""Engines are shared, and one that ends takes nothing from the others."""

import gc

import psutil

from selfj import backends
from selfj.backends.base import JudgeInput
from selfj.settings import VllmBackend


def read(reader) -> float:
    return float(reader.read([JudgeInput("q", "a")]).probabilities[0, 3])


def test_an_engine_outlives_its_neighbours(llama):
    first = backends.level_reader(VllmBackend(model=llama, cpu_cache_gib=1))
    before = read(first)
    second = backends.level_reader(VllmBackend(model=llama, cpu_cache_gib=1, max_model_len=256))
    assert second.engine is not first.engine
    assert read(second) == before
    del second
    gc.collect()
    assert read(first) == before
    third = backends.level_reader(VllmBackend(model=llama, cpu_cache_gib=1, max_model_len=200))
    del first
    gc.collect()
    assert read(third) == before


def test_the_memory_of_an_engine_goes_with_its_last_user(llama):
    kept = backends.level_reader(VllmBackend(model=llama, cpu_cache_gib=1))
    before = read(kept)
    used = []
    for tokens in range(300, 305):
        other = backends.level_reader(VllmBackend(model=llama, cpu_cache_gib=1, max_model_len=tokens))
        assert read(other) == before
        used.append(psutil.Process().memory_info().rss / 2**30)
    assert max(used) < used[0] + 1.5
    assert read(kept) == before


def test_one_engine_serves_all_who_read_a_model(llama):
    reader = backends.level_reader(VllmBackend(model=llama, cpu_cache_gib=1))
    same = backends.generator(VllmBackend(model=llama, cpu_cache_gib=1, max_length=100, long_text="cut"))
    assert same.engine is reader.engine
