"""Every error that selfj raises on purpose, with the exit code that the command line gives it.

SelfjError
├── ConfigError            wrong settings or arguments           exit 2
├── MissingDependency      an optional package is absent         exit 2
├── ArtefactError          absent, malformed or unwritable       exit 3
│   ├── StaleArtefact      made from other input or settings
│   ├── InputError         the user's own file cannot be used
│   └── StoreUnavailable   the gateway's store cannot be read or written now
├── Infeasible             no threshold meets the target risk    exit 4
├── TooManyFailures        failed rows passed the limit          exit 5
├── OverBudget             a cap on spending ended the work      exit 7
└── BackendError           a model or server failed              exit 6
    ├── BackendTimeout, BackendUnavailable     worth another try
    └── BackendRefused                         not worth another try
"""


class SelfjError(Exception):
    """A foreseen fault; its message says what was expected, what was found and what to do."""

    exit_code = 1


class ConfigError(SelfjError):
    """A setting or an argument is wrong."""

    exit_code = 2


class MissingDependency(SelfjError):
    """An optional package is needed and not installed."""

    exit_code = 2


class ArtefactError(SelfjError):
    """A file of a run is absent, malformed or cannot be written."""

    exit_code = 3


class StaleArtefact(ArtefactError):
    """An artefact was made from other input than the one that lies beside it now."""


class InputError(ArtefactError):
    """The user's own file cannot be read as instructions or exchanges."""


class StoreUnavailable(ArtefactError):
    """The gateway's store is locked, down, full or too far behind; nothing of the call was written."""


class Infeasible(SelfjError):
    """No threshold keeps the risk below the target with the stated confidence."""

    exit_code = 4


class TooManyFailures(SelfjError):
    """More rows failed than `max_failed` allows."""

    exit_code = 5


class OverBudget(SelfjError):
    """Going on would cost more than the cap allows; what was done is kept."""

    exit_code = 7


class Stopped(SelfjError):
    """The system told the process to end, and it did so with its work kept."""

    exit_code = 143


class BackendError(SelfjError):
    """A model or a server failed; `retryable` says whether another try can help."""

    exit_code = 6
    retryable = False


class BackendTimeout(BackendError):
    """No reply came in time."""

    retryable = True


class BackendUnavailable(BackendError):
    """The server cannot be reached or is overloaded."""

    retryable = True


class BackendRefused(BackendError):
    """The model or server cannot do what was asked."""
