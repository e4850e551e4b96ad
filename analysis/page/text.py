"""Text as it may stand in a page: visible, escaped, and unable to end the element around it."""

import json
import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from analysis.page.contents import PageTable


def shown(text: str) -> str:
    """Text with invisible characters made visible: control characters as their pictures, lone surrogates as U+FFFD."""
    return text.replace("\r\n", "\n").translate(_PICTURES)


_PICTURES = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"},
    0x7F: 0x2421,
    **dict.fromkeys([*range(0x80, 0xA0), *range(0xD800, 0xE000)], 0xFFFD),
}


def cell(text: str) -> str:
    """A table cell as HTML; text between two pairs of asterisks is bold."""
    bold = len(text) > 4 and text.startswith("**") and text.endswith("**")
    return Markup("<strong>{}</strong>").format(shown(text[2:-2])) if bold else Markup.escape(shown(text))


def numeric_columns(table: PageTable) -> list[bool]:
    """Whether each column holds only numbers (dashes and empty cells aside), to be aligned right."""
    columns = ([row[i].strip("* ") for row in table.rows] for i in range(len(table.header)))
    return [
        any(texts := [text for text in column if text not in ("", "-", "–", "—")])
        and all(re.match(r"[-+−±<>≤≥]?\s*\.?\d", text) for text in texts)
        for column in columns
    ]


def script_json(data: Mapping[str, Any]) -> str:
    """JSON for a script element: no character in it can end the element or the line.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text)
