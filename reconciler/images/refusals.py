"""Why an image is not used: one class a reason, none of which ever shows what a file contains.

UnsafeImage
├── NotARegularFile, EmptyImage, TruncatedImage
├── ForbiddenPlace       outside the folders that policy names
├── WrongFormat          the content is of another format than declared
│   └── ForeignFormat    … of one that is never accepted, such as VMDK
├── AmbiguousFormat      the content is of two formats at once
├── BackingFile          qcow2 that names another file …
│   └── JsonBackingFile  … by a `json:` description
├── ExternalDataFile     qcow2 whose data are in another file
├── EncryptedImage, InternalSnapshots, UncleanImage
├── UnknownFeatures      header bits or extensions that are not of normal images
├── DamagedHeader        header values that contradict each other
├── OversizedTables      tables beyond what QEMU itself accepts
└── ImageTooLarge
    └── CompressionBomb
ImageError
├── AddressRefused       the URL leads to where images are not fetched from
│   ├── SchemeRefused    … by something else than https
│   └── CredentialsInUrl … with a password that logs would show
├── ImageChanged         the file changed while it was read
├── ImageUnavailable     no such file, or the server will not give it
└── DownloadFailed
    ├── DownloadCancelled
    └── CacheFull        no space left on the controller
"""

from __future__ import annotations

from reconciler.errors import DownloadFailed, ImageError, UnsafeImage


class NotARegularFile(UnsafeImage):
    """A directory, device, FIFO or socket."""


class ForbiddenPlace(UnsafeImage):
    """The file is not in a folder that the policy allows."""


class EmptyImage(UnsafeImage):
    """No content at all."""


class TruncatedImage(UnsafeImage):
    """The file ends before what its header names."""


class WrongFormat(UnsafeImage):
    """The content is of another format than the spec declares."""


class ForeignFormat(WrongFormat):
    """A format that is never accepted: it may name other files, and QEMU would follow."""


class AmbiguousFormat(UnsafeImage):
    """The content is of several formats at once, or of one that can't be decided."""


class BackingFile(UnsafeImage):
    """A qcow2 header that names a backing file."""


class JsonBackingFile(BackingFile):
    """A qcow2 header that names its backing file by a `json:` description."""


class ExternalDataFile(UnsafeImage):
    """A qcow2 header whose data are in another file."""


class EncryptedImage(UnsafeImage):
    """An encrypted qcow2."""


class InternalSnapshots(UnsafeImage):
    """A qcow2 with snapshots inside."""


class UncleanImage(UnsafeImage):
    """A qcow2 marked as not closed cleanly, or as corrupt."""


class UnknownFeatures(UnsafeImage):
    """A qcow2 with features that images for distribution do not have."""


class DamagedHeader(UnsafeImage):
    """A qcow2 header whose values contradict each other."""


class OversizedTables(UnsafeImage):
    """A qcow2 header whose tables are beyond what QEMU accepts."""


class ImageTooLarge(UnsafeImage):
    """More bytes than policy allows, of the file or of the disk that it describes."""


class CompressionBomb(ImageTooLarge):
    """A small file that claims to become a very large disk."""


class AddressRefused(ImageError):
    """The URL or a redirect leads to where images are not fetched from."""


class SchemeRefused(AddressRefused):
    """The URL or a redirect is of a scheme that images are not fetched by."""


class CredentialsInUrl(AddressRefused):
    """The URL or a redirect carries a user or a password, which is not shown."""


class ImageChanged(ImageError):
    """The file changed while it was read."""


class ImageUnavailable(ImageError):
    """No such file, or the server will not give it."""


class DownloadCancelled(DownloadFailed):
    """Stopped on request; what was fetched is kept."""


class CacheFull(DownloadFailed):
    """No space left on the controller; what was fetched is kept."""
