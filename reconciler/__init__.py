"""Declarative controller for plain KVM/libvirt hosts."""

__version__ = "0.1.0"
