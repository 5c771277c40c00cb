"""Bootable guest images for the lab, built from Debian packages without loop devices."""

from tests.lab.guest.debian import build_debian, debian_image
from tests.lab.guest.tiny import build_tiny, tiny_image

__all__ = ["build_debian", "build_tiny", "debian_image", "tiny_image"]
