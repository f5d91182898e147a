"""Makes ranked feeds before they are asked for. Not the RSS library of the same import name."""

__version__ = "0.1.0"
