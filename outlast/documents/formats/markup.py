"""Snippets of HTML, as feeds and search services give them, as plain text in one line.

In such texts `<` is often no tag (`if $x<y$ and y>z`), so only what is written like a tag of HTML is taken for one.
"""

import re
from html import unescape

from outlast.documents.formats.text import tidy

_NAMES = (
    "a|abbr|acronym|address|area|article|aside|audio|b|bdi|bdo|big|blockquote|body|br|button|canvas|caption|center|cite|code|col"
    "|colgroup|data|dd|del|details|dfn|dialog|dir|div|dl|dt|em|embed|fieldset|figcaption|figure|font|footer|form|h[1-6]|head|header"
    "|hr|html|i|iframe|img|input|ins|kbd|label|legend|li|link|main|map|mark|meta|nav|nobr|noscript|object|ol|optgroup|option|p|param"
    "|picture|pre|q|ruby|rp|rt|s|samp|section|select|small|source|span|strike|strong|sub|summary|sup|table|tbody|td|textarea|tfoot|th"
    "|thead|time|title|tr|track|tt|u|ul|var|video|wbr"
)
_ATTRIBUTE = r"""\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'|[^\s"'<>=]+)"""
_TAG = re.compile(rf"</?(?:{_NAMES})(?:{_ATTRIBUTE})*\s*/?>", re.IGNORECASE)
_UNSEEN = re.compile(r"<(script|style|svg)\b[^<>]*>.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<\?[^>]*(?:>|\Z)", re.I | re.S)
_WITHIN_WORDS = re.compile(
    r"</?(?:a|abbr|b|big|cite|code|del|em|font|i|ins|mark|s|small|span|strong|sub|sup|tt|u|wbr)\b", re.I
)


def plain(markup: str) -> str:
    """Return what a reader sees of a piece of HTML, in one line."""
    if "<" in markup:
        markup = _TAG.sub(_space, _UNSEEN.sub(" ", markup))
    return one_line(unescape(markup))


def one_line(text: str) -> str:
    """Return a text without control characters and line breaks."""
    return " ".join(tidy(text).split())


def _space(tag: re.Match[str]) -> str:
    return "" if _WITHIN_WORDS.match(tag.group()) else " "
