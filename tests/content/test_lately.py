"""What was used lately is remembered, and nothing else."""

from __future__ import annotations

from pxenet.content.lately import Lately


def test_what_is_used_stays() -> None:
    """An entry survives as many generations as it is used in, and one more."""
    lately: Lately[str, int] = Lately(10)
    lately.put("a", 1)
    lately.put("b", 2)
    for _ in range(3):
        lately.age()
        assert lately.get("a") == 1
    assert (lately.get("b"), len(lately)) == (None, 1)
    lately.age()
    lately.age()
    assert (lately.get("a"), len(lately)) == (None, 0)


def test_there_are_never_more_than_two_generations_full() -> None:
    """Whatever comes, in whatever order; the latest are there."""
    lately: Lately[int, int] = Lately(4)
    for number in range(100):
        lately.put(number, number)
        lately.get(number - 3)
        assert len(lately) <= 8
    assert [lately.get(number) for number in (97, 98, 99)] == [97, 98, 99]
    assert lately.get(50) is None


def test_a_new_value_replaces_the_old_one() -> None:
    """In either generation."""
    lately: Lately[str, int] = Lately(4)
    lately.put("a", 1)
    lately.age()
    lately.put("a", 2)
    assert (lately.get("a"), len(lately)) == (2, 1)
