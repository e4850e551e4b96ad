"""A matplotlib figure as a part of the page."""

import re
from xml.etree import ElementTree

from analysis.colors import between

# --text and --paper of page.css in the dark theme.
DARK_TEXT, DARK_GROUND = "#e4e6e9", "#181c20"
# Largest and smallest size on the page, in units of the figure's own.
LARGEST, SMALLEST = 1.3, 0.75
# Points: a wider figure takes both columns of the page.
WIDE = 600
# Largest difference between the channels of what is taken for a grey.
MOST_OF_A_GREY = 12
_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"


def inline_svg(document: str, prefix: str) -> str:
    """An SVG document as an element of an HTML page.

    Colors follow the page's theme. Style sheets, which would apply to the whole page, are limited to the figure.
    Scripts, event handlers, external links, metadata and foreign markup are dropped.

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
        element.attrib.update(
            {name: themed(element.attrib[name]) for name in ("style", "fill", "stroke") if name in element.attrib}
        )
        if element.tag == "style":
            element.text = f"#{prefix}svg {{ {_prefixed('style', element.text or '', prefix)} }}"
    if width := re.fullmatch(r"([\d.]+)pt", root.get("width", "")):
        # A figure of one panel is not blown up to the width of one of four, whose letters stay legible.
        natural = float(width[1])
        root.set("style", f"max-width: {LARGEST * natural:.0f}pt; min-width: {SMALLEST * natural:.0f}pt")
    root.set("id", f"{prefix}svg")
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}title {prefix}caption")
    return ElementTree.tostring(root, encoding="unicode")


def themed(style: str) -> str:
    """Declarations or a color, with a color for the dark theme beside each one that is written as #rrggbb."""
    return re.sub(r"#[0-9a-fA-F]{6}\b", lambda match: f"light-dark({match[0]}, {dark(match[0])})", style)


def dark(color: str) -> str:
    """What stands for a color of a light figure in the dark theme.

    Greys go from the dark page's text, for black, to its ground, for white; other colors are mixed with white, as those
    of the curves are.
    """
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    if max(red, green, blue) - min(red, green, blue) > MOST_OF_A_GREY:
        return between(color, "#ffffff", 0.35)
    return between(DARK_TEXT, DARK_GROUND, (red + green + blue) / (3 * 255))


def is_wide(document: str) -> bool:
    """Whether a figure takes both columns of the page."""
    width = re.search(r'<svg[^>]*\bwidth="([\d.]+)pt"', document)
    return width is not None and float(width[1]) > WIDE


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
