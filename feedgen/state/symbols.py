"""Outside ids ↔ dense indices. Dense indices never leave the process."""


class Symbols:
    """Numbers ids 0, 1, 2 … in the order they are first met."""

    __slots__ = ("_index", "_names")

    def __init__(self) -> None:
        self._index: dict[str, int] = {}
        self._names: list[str] = []

    def __len__(self) -> int:
        return len(self._names)

    def intern(self, name: str) -> int:
        """The index of `name`, a new one if it was never met. O(1)."""
        index = self._index.get(name)
        if index is None:
            index = self._index[name] = len(self._names)
            self._names.append(name)
        return index

    def find(self, name: str) -> int | None:
        """The index of `name`, or None if it was never met. O(1)."""
        return self._index.get(name)

    def name(self, index: int) -> str:
        """The id behind an index. O(1)."""
        return self._names[index]

    @property
    def names(self) -> list[str]:
        """All ids by index; shared, not to be changed."""
        return self._names
