from django.core.cache import cache

from mesoclinic.core.counting import count, counted


def test_each_key_counts_by_itself() -> None:
    cache.clear()
    assert [count("a", seconds=60), count("a", seconds=60), count("b", seconds=60)] == [1, 2, 1]
    assert (counted("a"), counted("b"), counted("c")) == (2, 1, 0)


def test_a_count_that_ran_out_between_begins_anew(monkeypatch) -> None:
    cache.clear()
    monkeypatch.setattr(cache, "add", lambda *given: False)  # it was there, and is gone when it is raised
    assert count("a", seconds=60) == 1
    assert counted("a") == 1
