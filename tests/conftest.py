"""Before any test: the kernels compiled, once for all workers and the commands they start."""

import pytest

from feedgen.batch import warm


def pytest_configure(config: pytest.Config) -> None:
    """Two workers would compile the same at the same time, and a command that a test waits for would be late."""
    if not hasattr(config, "workerinput"):
        warm()
