"""A NoCloud seed disk, made apart from the product's own so that images are tested on their own."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from pycdlib import PyCdlib

if TYPE_CHECKING:
    from pathlib import Path


def write_seed(image: Path, *, hostname: str, instance_id: str, user_data: str) -> Path:
    """Write an ISO 9660 image labelled ``cidata`` with meta-data and user-data to ``image`` and return it."""
    files = {
        "meta-data": f"instance-id: {instance_id}\nlocal-hostname: {hostname}\n",
        "user-data": user_data,
    }
    iso = PyCdlib()
    iso.new(interchange_level=4, vol_ident="cidata", joliet=3, rock_ridge="1.09")
    for name, text in files.items():
        data = text.encode()
        iso.add_fp(BytesIO(data), len(data), f"/{name}", rr_name=name, joliet_path=f"/{name}")
    iso.write(str(image))
    iso.close()
    return image
