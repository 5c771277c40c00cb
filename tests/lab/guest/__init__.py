"""Bootable guest images for the lab, built from Debian packages without loop devices."""

from tests.lab.guest.tiny import build_tiny, tiny_image

__all__ = ["build_tiny", "tiny_image"]
