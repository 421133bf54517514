"""Text, data and code inside a page, escaped so that none can act as another."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from importlib.resources import files
from typing import Any

from agad.report.pages.rounding import plain

_ENTITIES = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&"})


def escaped(text: str) -> str:
    """Return text on one line, escaped for use between tags and inside quotes."""
    return html.escape(plain(text))


def data_script(name: str, value: Any) -> str:  # noqa: ANN401
    """Return a block of JSON for a script. No text in the JSON can end the block.

    Args:
        name: The block's id.
        value: A value that JSON can hold, without infinite numbers or NaN.
    """
    # Characters that could end the block become \u escapes, and so does all that is not ASCII:
    # U+2028 and U+2029 end a line of JavaScript.
    text = json.dumps(value, allow_nan=False, separators=(",", ":")).translate(_ENTITIES)
    return f'<script type="application/json" id="{escaped(name)}">{text}</script>'


def code(text: str) -> str:
    """Return JavaScript as a block. The code has ``</script`` in strings only."""
    return f"<script>{_unended(text)}</script>"


def policy(script: str, style: str) -> str:
    """Return the content security policy of a page with one script and one style sheet.

    The page loads and sends nothing, and runs no other script. Style attributes are allowed:
    Vega sets them on the parts of a chart.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'sha256-{_digest(_unended(script))}'",
            f"style-src-elem 'sha256-{_digest(style)}'",
            "style-src-attr 'unsafe-inline'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def packaged(name: str) -> str:
    """Return a file that comes with this package."""
    return files("agad.report.html").joinpath(name).read_text("utf-8")


def _unended(text: str) -> str:
    return re.sub(r"</(?=script)", r"<\\/", text, flags=re.IGNORECASE).replace("<!--", r"<\!--")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
