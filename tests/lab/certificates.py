"""Throw-away certificates with which the hosts of a lab encrypt migrations."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

IN_HOST = "/etc/libvirt/pki"
"""Where a host sees its own."""


def make_certificates(folder: Path, addresses: Iterable[str]) -> None:
    """An authority and one certificate for all `addresses`, good for two days, under the names that QEMU wants."""
    folder.mkdir()
    names = ",".join(f"IP:{address}" for address in addresses)
    use = "keyUsage=critical,keyCertSign"
    _certify(folder, "ca", "lab authority", "basicConstraints=critical,CA:TRUE", use)
    uses = ("keyUsage=critical,digitalSignature", "extendedKeyUsage=serverAuth,clientAuth")
    signed_by = ("-CA", str(folder / "ca-cert.pem"), "-CAkey", str(folder / "ca-key.pem"))
    extensions = ("basicConstraints=critical,CA:FALSE", f"subjectAltName={names}", *uses)
    _certify(folder, "server", "lab host", *extensions, more=signed_by)
    (folder / "ca-key.pem").unlink()
    for part in ("cert", "key"):
        shutil.copy(folder / f"server-{part}.pem", folder / f"client-{part}.pem")


def _certify(folder: Path, name: str, subject: str, *extensions: str, more: tuple[str, ...] = ()) -> None:
    key, made = str(folder / f"{name}-key.pem"), str(folder / f"{name}-cert.pem")
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    words += ["-days", "2", "-subj", f"/CN={subject}", "-keyout", key, "-out", made, *more]
    words += [word for extension in extensions for word in ("-addext", extension)]
    subprocess.run(words, check=True, capture_output=True, timeout=60)  # our own words
