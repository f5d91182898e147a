import pytest

from feedgen.events import Event
from feedgen.synthetic import Network, NetworkSpec, generate

SMALL = NetworkSpec(viewers=200, followees_mean=40, seed=7)


@pytest.fixture(scope="session")
def small() -> Network:
    """200 viewers with the default rates."""
    return generate(SMALL)


@pytest.fixture(scope="session")
def medium() -> Network:
    """1,000 viewers over 30 days: some 200,000 seen posts, enough for statistics."""
    return generate(NetworkSpec(viewers=1_000, followees_mean=80, seed=3))


@pytest.fixture(scope="session")
def medium_events(medium: Network) -> list[Event]:
    """Every event of `medium`, made once."""
    return list(medium.events())
