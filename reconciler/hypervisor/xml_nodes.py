"""XML as nodes: values are never formatted into text, so no value can become markup."""

from __future__ import annotations

from typing import Final

from lxml import etree

Node = etree._Element  # noqa: SLF001 - lxml's own name for the type of every element

_UNITS: Final = {
    "b": 1, "bytes": 1,
    "KB": 10**3, "k": 2**10, "KiB": 2**10,
    "MB": 10**6, "M": 2**20, "MiB": 2**20,
    "GB": 10**9, "G": 2**30, "GiB": 2**30,
    "TB": 10**12, "T": 2**40, "TiB": 2**40,
}  # fmt: skip
# Without the white space there are half as many nodes to walk; IDs mean nothing in libvirt's XML.
_PARSER: Final = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    remove_comments=True,
    remove_pis=True,
    remove_blank_text=True,
    collect_ids=False,
)


def node(tag: str, *children: Node, text: str | None = None, **attributes: str) -> Node:
    """An element; its attributes in the order given."""
    element = etree.Element(tag, attributes)
    element.text = text
    element.extend(children)
    return element


def from_text(xml: str) -> Node:
    """The root element of a document that a host gave; without entities, comments and network."""
    return etree.fromstring(xml.encode(), _PARSER)


def to_text(root: Node) -> str:
    """The document for libvirt."""
    etree.indent(root)
    return etree.tostring(root, encoding="unicode")


def child_of(parent: Node | None, tag: str) -> Node | None:
    """The first child `tag`, if there is one; quicker than lxml's `find`, which looks for paths."""
    if parent is not None:
        for child in parent:
            if child.tag == tag:
                return child
    return None


def attribute(parent: Node | None, tag: str, name: str, default: str = "") -> str:
    """Attribute `name` of the child `tag`, or the default where either is missing."""
    child = child_of(parent, tag)
    return default if child is None else str(child.get(name, default))


def text_of(parent: Node | None, tag: str, default: str = "") -> str:
    """Text of the child `tag`, stripped."""
    child = child_of(parent, tag)
    return ((child.text if child is not None else None) or default).strip()


def size_of(element: Node | None) -> int:
    """Bytes that an element such as `<memory unit='KiB'>` says; 0 where it is missing."""
    if element is None or not element.text:
        return 0
    return int(element.text) * _UNITS.get(element.get("unit", "KiB"), 1)
