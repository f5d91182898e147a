"""The error tree. Every error forefeed raises on purpose is a ForefeedError with a sentence for a person."""


class ForefeedError(Exception):
    """Root of the tree; `str()` is one line that says what is wrong and, where possible, what to do."""


class ConfigError(ForefeedError):
    """A setting is unknown, of the wrong type or impossible; the message names its path in config.yaml."""


class BadEvent(ForefeedError):
    """An event is refused; the message is the reason, without a line number (the caller knows the line)."""


class BadRecord(ForefeedError):
    """Stored bytes are not a feed record this version can read."""


class LogError(ForefeedError):
    """The event log cannot be opened, read or written."""


class DiskFull(ForefeedError):
    """Beside LogError and StoreError: what was to be written was not, as there is no room for it."""


class LogFull(LogError, DiskFull):
    """The disk of the event log is full."""


class BadSnapshot(ForefeedError):
    """A snapshot cannot be used; the message says why, without its name (the caller knows it)."""


class SnapshotError(ForefeedError):
    """What the log does not hold is not there either: the snapshot of a bulk import is missing or cannot be used."""


class StoreError(ForefeedError):
    """The feed store cannot be opened, read or written."""


class StoreFull(StoreError, DiskFull):
    """The disk of the feed store is full."""


class GenerationFailed(ForefeedError):
    """A viewer's feed could not be generated (set aside after its retries, or the pool is closing)."""


class QueueFull(ForefeedError):
    """The worker pool's queue is at its bound; come back later."""


class ImportFailed(ForefeedError):
    """The source of an import is missing, unreadable or of a kind nobody reads."""


class ModelError(ForefeedError):
    """A model cannot be read, or not be trained from what there is."""
