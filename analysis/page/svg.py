"""A matplotlib figure as a part of the page."""

import re
from xml.etree import ElementTree

_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"


def inline_svg(document: str, prefix: str) -> str:
    """An SVG document as an element of an HTML page.

    Style sheets, which would apply to the whole page, are limited to the figure. Scripts, event handlers, external
    links, metadata and foreign markup are dropped.

    Args:
        document: a whole SVG document.
        prefix: put before every id, so that clip paths and markers of two figures stay distinct.

    Raises:
        ValueError: the document is not an SVG.
    """
    try:
        root = ElementTree.fromstring(document)
    except ElementTree.ParseError as error:
        raise ValueError(f"not an SVG: {error}") from None
    if root.tag != f"{_SVG}svg":
        raise ValueError(f"not an SVG: the root element is {root.tag!r}")
    for parent in list(root.iter()):
        for child in list(parent):
            if not _is_drawing(child.tag):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        attributes = {name.removeprefix(_XLINK): value for name, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update(
            {name: _prefixed(name, value, prefix) for name, value in attributes.items() if _is_safe(name, value)}
        )
        if element.tag == "style":
            element.text = f"#{prefix}svg {{ {_prefixed('style', element.text or '', prefix)} }}"
    root.set("id", f"{prefix}svg")
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}title {prefix}caption")
    return ElementTree.tostring(root, encoding="unicode")


def _is_drawing(tag: str) -> bool:
    dropped = {"script", "foreignObject", "metadata", "animate", "set", "animateTransform", "animateMotion"}
    return tag.startswith(_SVG) and tag.removeprefix(_SVG) not in dropped


def _is_safe(name: str, value: str) -> bool:
    if name == "href":
        return value.startswith(("#", "data:image/png", "data:image/jpeg"))
    return not (name.startswith(("{", "on")))


def _prefixed(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    if name == "href" and value.startswith("#"):
        return f"#{prefix}{value[1:]}"
    return re.sub(r"url\(\s*(['\"]?)#", rf"url(\g<1>#{prefix}", value)
