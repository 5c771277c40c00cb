"""One tree of errors; each says which object, on which host, what is wrong and what to do next.

    ReconcilerError
    ├── UsageError              the command line or configuration is wrong
    │   ├── ExposedListener     others could reach what is for this machine alone
    │   └── ConfigurationError  the configuration is: only people can mend it
    ├── SpecError               specs can't be used as written
    ├── StateError              the state directory can't be used
    │   ├── LedgerError         the ledger is damaged, full or newer than this program
    │   │   ├── LedgerForeign   a newer version or another program wrote it
    │   │   ├── StoreUnavailable etcd does not answer: whether a change was applied is not known
    │   │   ├── StoreWentBack   etcd holds less than it did: it was put back, or is another one
    │   │   └── LeadLost        this controller does not lead any more, so it may change nothing
    │   └── ControllerRunning   another controller holds the state directory
    ├── HostError               something on a host
    │   ├── TransientHostError  may succeed when tried again
    │   │   ├── HostUnreachable no connection
    │   │   ├── HostTimeout     no answer in time: the call may or may not have been applied
    │   │   ├── HostBusy        a lock or job is in the way
    │   │   └── HostFault       QEMU or libvirt broke off in a way that may pass
    │   └── PermanentHostError  will fail again until somebody changes something
    │       ├── ObjectNotFound
    │       ├── ObjectConflict  the name or UUID is taken by something that is not ours
    │       ├── DisguisedVolume a guest wrote the header of another format into it
    │       ├── NoSpace
    │       └── HostRefused     libvirt or QEMU said no
    ├── FencingError            a host could not be proven dead
    │   ├── FencingFailed       every level of its devices failed
    │   └── FencingStopped      the attempt was called off; nothing of it goes on
    ├── ImageError              an image can't be used
    │   ├── UnsafeImage         refused by inspection
    │   ├── ChecksumMismatch
    │   └── DownloadFailed      may succeed when tried again
    ├── NotificationFailed      a receiver could not be told
    ├── SecretError             a secret can't be had; what it is, is never said
    │   ├── SecretMissing       nothing is there by that name
    │   ├── SecretRefused       it is there, and is not taken from there
    │   └── DecryptionFailed    no key of the controller opens it
    └── PreconditionFailed      the world moved since the plan was made

Kopf's vocabulary of temporary and permanent errors is the whole retry policy: `is_transient` decides.
"""

from __future__ import annotations


class ReconcilerError(Exception):
    """Base of everything this program raises on purpose.

    `hint` is the next step for the reader, in the imperative, or empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class UsageError(ReconcilerError):
    """The command line or the configuration is wrong."""


class ExposedListener(UsageError):
    """What is to be listened on is reached by other machines, and nothing says who of them may ask."""


class ConfigurationError(UsageError):
    """The configuration file, or a setting of the environment, is wrong: trying again can't help."""


class SpecError(ReconcilerError):
    """Specs can't be used as written."""


class StateError(ReconcilerError):
    """The state directory can't be used."""


class LedgerError(StateError):
    """The ledger is damaged, full, or newer than this program."""


class LedgerForeign(LedgerError):
    """A newer version of this program, or another program, wrote it: trying again can't help."""


class StoreUnavailable(LedgerError):
    """No member of etcd answered in time: whether a change was applied is not known."""


class StoreWentBack(LedgerError):
    """etcd is behind what was seen of it, or another cluster: whoever believed it would undo what was done since."""


class LedgerConflict(LedgerError):
    """A state directory and etcd don't belong together: there are two ledgers, and a human says which one counts."""


class LeadLost(LedgerError):
    """This controller does not lead any more, or can't be sure that it does: nothing may be changed by it."""


class ControllerRunning(StateError):
    """Another controller holds the state directory, or leads the fleet."""


class HostError(ReconcilerError):
    """Something went wrong on `host` with `target` (`Kind/name`, or empty for the host itself)."""

    def __init__(self, message: str, *, host: str, target: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.host = host
        self.target = target

    def __str__(self) -> str:
        where = f"{self.target} on {self.host}" if self.target else self.host
        text = f"{where}: {self.message}"
        return f"{text}\n  → {self.hint}" if self.hint else text


def mistake_of_ours(error: Exception, host: str) -> HostError:
    """What asking `host` came to where this program is wrong: its errors must not hold up the other hosts."""
    said = f"{type(error).__name__}: {error}"
    return HostError(f"could not be read: internal error: {said}", host=host, hint="report it")


class TransientHostError(HostError):
    """May succeed when tried again."""


class HostUnreachable(TransientHostError):
    """No connection to the host."""


class HostTimeout(TransientHostError):
    """No answer in time: whether the call was applied is not known."""


class HostBusy(TransientHostError):
    """A lock or a job of libvirt is in the way."""


class HostFault(TransientHostError):
    """QEMU or libvirt broke off while doing it: killed, image locked elsewhere, out of memory."""


class PermanentHostError(HostError):
    """Will fail again until somebody changes something."""


class ObjectNotFound(PermanentHostError):
    """The object does not exist on the host."""


class ObjectConflict(PermanentHostError):
    """The name or UUID is taken by an object that is not ours."""


class DisguisedVolume(PermanentHostError):
    """What was written into the volume passes for another format than it was made in."""


class NoSpace(PermanentHostError):
    """The pool or file system is full."""


class HostRefused(PermanentHostError):
    """libvirt or QEMU refused."""


class CheckpointLost(HostRefused):
    """QEMU has not kept track of what changed since that checkpoint, or not without a gap."""


class FencingError(ReconcilerError):
    """A host could not be proven dead."""


class FencingFailed(FencingError):
    """Every level failed; the message has each one's reason."""


class FencingStopped(FencingError):
    """The attempt was called off, by a human's word or the end of the program; nothing of it goes on."""


class ImageError(ReconcilerError):
    """An image can't be used."""


class UnsafeImage(ImageError):
    """Inspection refused the image."""


class ChecksumMismatch(ImageError):
    """The content is not what the checksum names."""


class DownloadFailed(ImageError):
    """The download did not finish; trying again may help."""


class NotificationFailed(ReconcilerError):
    """A receiver of notifications could not be told."""


class SecretError(ReconcilerError):
    """A secret can't be had, or can't be used; neither it nor anything of its file is in the text."""


class SecretMissing(SecretError):
    """Nothing is there by that name."""


class SecretRefused(SecretError):
    """It is there and is not used: a link that leads out, no regular file, open to everybody, not text."""


class DecryptionFailed(SecretError):
    """An encrypted file could not be opened with the keys that the controller has."""


class PreconditionFailed(ReconcilerError):
    """The world moved since the plan was made, so the action was not done."""


def is_transient(error: BaseException) -> bool:
    """Whether trying again, with nothing changed by people, may help."""
    return isinstance(error, TransientHostError | DownloadFailed | FencingError | PreconditionFailed)
