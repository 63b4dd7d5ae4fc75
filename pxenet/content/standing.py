"""What a name leads to depends on the configuration too: a content stands only as long as the one that it was found by.

Knows nothing of settings: eras follow one another, and whoever begins one ends the one before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pxenet.model import Content, Standing


class Era:
    """The time of one configuration."""

    __slots__ = ("number", "over")

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.over = False

    def next(self) -> Era:
        """This one is over, and another begins."""
        self.over = True
        return Era(self.number + 1)


@dataclass(slots=True)
class InEra:
    """A standing that ends with an era."""

    standing: Standing
    era: Era

    @property
    def changed_at(self) -> float:
        """See ``model.Standing``."""
        return self.standing.changed_at

    def holds(self) -> bool:
        """See ``model.Standing``."""
        return not self.era.over and self.standing.holds()


def within(content: Content, era: Era) -> Content:
    """The content, standing no longer than the era."""
    return content if content.standing is None else replace(content, standing=InEra(content.standing, era))
