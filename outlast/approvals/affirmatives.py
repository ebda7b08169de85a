"""The words that mean yes, and how a text is compared with them. Whatever is not listed here is not a yes.

Refusals cannot be listed: there are too many ways of saying no. So only affirmatives are known, in the languages people use most,
and a question, a hesitation or a sentence around one of them makes it unknown again.
"""

import re
import unicodedata
from typing import Any

from outlast.contracts import Verdict, visible

WORDS = """
yes y yep yeah aye true ok okay approve approved accept accepted agree agreed allow allowed authorized authorised confirmed
granted lgtm +1 i_approve go_ahead looks_good 👍 ✅ ✔
ja jawohl genehmigt freigegeben einverstanden bestätigt zugestimmt erlaubt
oui approuvé approuvée j'approuve accepté acceptée validé validée autorisé d'accord
sí si aprobado aprobada apruebo aceptado aceptada autorizado de_acuerdo
sì approvato approvata approvo accettato autorizzato d'accordo va_bene
sim aprovado aprovada aprovo aceito de_acordo
akkoord goedgekeurd toegestaan godkänd godkänt godkendt godkjent kyllä hyväksytty
tak zatwierdzam zatwierdzone zgoda ano schváleno souhlasím igen jóváhagyva evet onaylandı onaylıyorum
да одобряю одобрено согласен согласна утверждаю утверждено так схвалено ναι
نعم موافق כן מאושר हाँ हां स्वीकृत
はい 承認 承認します 了承 是 好 好的 可以 同意 批准 核准 네 예 승인 승인합니다
"""
YES = frozenset(unicodedata.normalize("NFKC", word.replace("_", " ").casefold()) for word in WORDS.split())
NO = frozenset("no n false deny denied reject rejected refuse refused disallow -1 0".split())  # noqa: SIM905
"""Refusals that are certain enough to deny at once, even beside an `approve`."""

QUOTES = " \t\r\n\"'`“”„‘’«»"
SKIN_TONES = re.compile("[\U0001f3fb-\U0001f3ff]")
ENDING = re.compile(r"(?:!+|\.)$")
"""What may end a yes: a question mark, a comma or dots would make it something else."""

LONGEST = 64
"""Characters of the longest text that is looked up."""


def verdict_of(data: Any) -> Verdict | None:
    """Read a yes or a no from a word or a JSON boolean; None for everything else, numbers above zero included."""
    if isinstance(data, bool):
        return Verdict.APPROVE if data else Verdict.DENY
    word = _comparable(str(data)) if isinstance(data, int | str) and len(str(data)) <= LONGEST else ""
    if word in NO:
        return Verdict.DENY
    return Verdict.APPROVE if isinstance(data, str) and word in YES else None


def _comparable(text: str) -> str:
    # Dots that NFKC would make of an ellipsis are a hesitation, so the ending is cut off before.
    bare = SKIN_TONES.sub("", visible(text)).strip(QUOTES)
    bare = ENDING.sub("", bare.replace("！", "!").replace("。", ".")).strip(QUOTES)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", bare).casefold())
    return " ".join(folded.replace("’", "'").split())
