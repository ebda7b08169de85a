"""Situations that people report of document and feed readers; `docs/documents.md` lists them by the same names."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from outlast.documents.formats.extraction import extract
from outlast.documents.formats.feed import read_feed
from outlast.errors import ErrorKind, kind_of
from tests.document_files import SENTENCE, docx_of, paragraph, pdf_of, run, stream
from tests.situation_files import (
    NUMBERING,
    arxiv,
    atom,
    box,
    control,
    embedded,
    form,
    header,
    html,
    item,
    math,
    noted,
    notes,
    old_field,
    parts,
    rss,
    stored,
    text,
    word,
    xfa,
)

ROOT = Path(__file__).parents[3]
LEASE = (
    "Lease agreement between the owner and the tenant.\n\nThe tenant pays 900 a month, on the first.\n\n"
    "Each party may end it with three months notice."
)


READ: dict[str, tuple[Callable[[], str], str]] = {
    # PDF
    "a filled form that was not flattened": (
        stored("filled-form.pdf"),
        (
            "Residential lease - questionnaire to be signed by the tenant.\nMonthly rent in euros:\nNumber of pets in the flat:\n"
            "Sublet to others (yes/no):\nThe answers above are part of the contract.\n\nForm fields:\n- rent: 1480\n- pets: 3\n"
            "- sublet: yes"
        ),
    ),
    "check boxes of a PDF form": (
        lambda: form("<</T(a)/FT/Btn/V/Yes>>\n<</T(b)/FT/Btn/V/Off>>\n<</T(c)/FT/Btn>>\n<</T(send)/FT/Btn/Ff 65536>>"),
        "- a: yes\n- b: no\n- c: no",
    ),
    "radio buttons of a PDF form": (
        lambda: form(
            "<</T(a)/FT/Btn/Ff 32768/V/monthly>>\n<</T(b)/FT/Btn/Ff 32768/V/1/Opt[(card)(cash)]>>\n"
            "<</T(c)/FT/Btn/Ff 32768>>"
        ),
        "- a: monthly\n- b: cash\n- c: (none chosen)",
    ),
    "a choice that the form knows by an abbreviation": (
        lambda: form("<</T(country)/FT/Ch/V(de)/Opt[[(de)(Germany)][(fr)(France)]]>>\n<</T(some)/FT/Ch/V[(x)(y)]>>"),
        "- country: Germany\n- some: x, y",
    ),
    "fields left empty, passwords and signatures": (
        lambda: form(
            "<</T(a)/FT/Tx>>\n<</T(b)/FT/Tx/Ff 8192/V(secret)>>\n<</T(c)/FT/Sig>>\n<</T(d)/FT/Sig/V<</Type/Sig>>>>"
        ),
        "- a: (empty)\n- b: (hidden)\n- c: not signed\n- d: signed",
    ),
    "a field with a tooltip": (lambda: form("<</T(f1)/TU(Monthly rent)/FT/Tx/V(900)>>"), "- f1 (Monthly rent): 900"),
    "a form on an otherwise blank page": (lambda: form("<</T(a)/FT/Tx/V(1)>>", "", ""), "- a: 1"),
    "an XFA form with data": (
        lambda: xfa("<form1><tenant><name>Ada</name></tenant><rent>900</rent><pets/></form1>"),
        (
            "[An XFA form: what is printed on its pages is not read, only what was filled in.]\n\n"
            "Form fields:\n- tenant.name: Ada\n- rent: 900\n- pets: (empty)"
        ),
    ),
    "an XFA form that has pages as well": (lambda: xfa("<f><rent>900</rent></f>", SENTENCE), "- rent: 900"),
    "an XFA form that says so in another language": (
        lambda: xfa("<f><rent>900</rent></f>", "Bitte warten...", "/NeedsRendering true").partition("\n\n")[2],
        "Form fields:\n- rent: 900",
    ),
    "text boxes and comments on a PDF page": (
        lambda: noted("<</Subtype/FreeText/Contents(Paid in May)>>\n<</Subtype/Text/T(Ada)/Contents(Really?)>>"),
        "[text box] Paid in May\n[comment by Ada] Really?",
    ),
    # Word
    "a picture whose target is NULL": (stored("null-image.docx"), LEASE),
    "a link whose target is a bare anchor": (stored("null-link.docx"), LEASE),
    "a document with macros": (stored("with-macros.docm"), LEASE),
    "a template": (stored("template.dotx"), LEASE),
    "a strict document": (stored("strict.docx"), LEASE),
    "a body under another name": (lambda: parts(paragraph(run("Said.")), {}, {}, "content/main.xml"), "Said."),
    "an embedded web page": (
        stored("altchunk.docx"),
        "Minutes\n\nThe board decided to sell the north building for 2.1 million.",
    ),
    "an embedded web archive": (
        lambda: embedded("a.mht", "MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n\n<p>Decided.</p>"),
        "Minutes\n\nDecided.",
    ),
    "an embedded Word file": (lambda: embedded("a.docx", docx_of(paragraph(run("Decided.")))), "Minutes\n\nDecided."),
    "an embedded part that is not read": (
        lambda: embedded("a.rtf", b"{\\rtf1 x}"),
        "Minutes\n\n[The embedded part word/a.rtf is in a format that is not read; its text is missing here.]",
    ),
    "an embedded part that is missing": (
        lambda: parts('<w:altChunk r:id="r9"/>', {}, {}),
        "[A part of this document is not in the file, so it is not read.]",
    ),
    "boxes ticked by symbols": (
        stored("ticked.docx"),
        (
            "Order form. Please tick what you want.\n\n☑ Renew for one year   ☐ Do not renew\n\n"
            "☐ Express delivery   ☑ Standard delivery"
        ),
    ),
    "boxes ticked by letters of a symbol font": (
        lambda: word(
            paragraph(run("þ¨", '<w:rFonts w:ascii="Wingdings"/>') + run("R£", '<w:rFonts w:ascii="Wingdings 2"/>'))
        ),
        "☑☐☑☐",
    ),
    "boxes ticked in content controls": (
        lambda: word(paragraph(control(1) + run(" yes ") + control(0) + run(" no"))),
        "☒ yes ☐ no",
    ),
    "boxes ticked in old form fields": (
        lambda: word(
            paragraph(
                old_field("<w:checkBox><w:checked/></w:checkBox>")
                + old_field('<w:checkBox><w:default w:val="0"/></w:checkBox>')
            )
        ),
        "☒☐",
    ),
    "a choice in an old form field": (
        lambda: word(
            paragraph(
                old_field('<w:ddList><w:result w:val="1"/><w:listEntry w:val="a"/><w:listEntry w:val="b"/></w:ddList>')
            )
        ),
        "b",
    ),
    "boxes as bullets": (
        lambda: parts(item(1, "Renew") + item(2, "End"), {"word/n.xml": NUMBERING}, {"numbering": "n.xml"}),
        "☑ Renew\n☐ End",
    ),
    "an equation": (
        stored("equation.docx"),
        "The rent after year n is given by:\n\nR_n=900·1.02^n\n\nBoth parties agree.",
    ),
    "fractions, roots and sums": (
        lambda: math(
            f"<m:f><m:num>{text('a+b')}</m:num><m:den>{text('2')}</m:den></m:f>{text('=')}<m:rad><m:deg/><m:e>{text('x')}</m:e></m:rad>"
            f"{text('+')}<m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr><m:sub>{text('i=1')}</m:sub><m:sup>{text('n')}</m:sup>"
            f"<m:e>{text('i')}</m:e></m:nary>{text('−')}<m:d><m:e>{text('y')}</m:e></m:d>"
        ),
        "(a+b)/2=√(x)+∑_(i=1)^n i−(y)",
    ),
    "Greek letters of the Symbol font": (
        lambda: word(paragraph(run("a = 3 m", '<w:rFonts w:ascii="Symbol"/>'))),
        "α = 3 μ",
    ),
    "comments in a Word file": (
        lambda: parts(
            paragraph(f'{run("Rent is 900.")}<w:r><w:commentReference w:id="1"/></w:r>'),
            notes("comments", "comment", paragraph(run("Too much."))),
            {"comments": "comments.xml"},
        ),
        "Rent is 900.[c1]\n\n[c1] comment by Ada: Too much.",
    ),
    "endnotes": (
        lambda: parts(
            paragraph(f'{run("Gold")}<w:r><w:endnoteReference w:id="1"/></w:r>'),
            notes("endnotes", "endnote", paragraph(run("Or silver."))),
            {"endnotes": "endnotes.xml"},
        ),
        "Gold[e1]\n\n[e1] Or silver.",
    ),
    "headers and footers": (
        lambda: parts(
            paragraph(run("Body.")),
            {"word/h.xml": header("Draft"), "word/f.xml": header("7")},
            {"header": "h.xml", "footer": "f.xml"},
        ),
        "Body.\n\n[Header] Draft",
    ),
    "a box within a box": (
        lambda: word(paragraph(box(paragraph(box(paragraph(run("In."))))))),
        "In.",
    ),
    # Web pages
    "an instruction that does not end": (lambda: html("<p>Said.</p><?php echo 1"), "Said."),
    "a comment mark within a script": (lambda: html("<script>var a = '<!--';</script><p>Said.</p>"), "Said."),
    "a script mark within a comment": (lambda: html("<!-- <script> --><p>Said.</p>"), "Said."),
    "a table in a layout table": (
        lambda: html("<table><tr><td>a<td><table><tr><td>1<td>2</table></table>"),
        "a\n\n1 | 2",
    ),
    # Feeds
    "mathematics in an abstract": (
        arxiv,
        (
            "We study heat pumps for $T<T_c$ and outdoor air colder than minus ten. The seasonal efficiency falls to 2.1 "
            "and the defrost cycles cost nine percent.\n"
            "For loads with $x<y$ and $p>q$ heat pumps keep an efficiency of 3.4 in winter. Outside of it they do not."
        ),
    ),
    "mathematics in HTML": (
        lambda: rss(
            "<title>t</title><description><![CDATA[<p>If $x<y$ and $a<b and c>d$, <b>then</b> p>q.</p>]]></description>"
        ),
        "t / If $x<y$ and $a<b and c>d$, then p>q.",
    ),
    "an entity declaration within CDATA": (
        lambda: rss(
            "<title>t</title><description><![CDATA[Write <!ENTITY x 'y'> or <!DOCTYPE a [<!ENTITY b 'c'>]>.]]></description>"
        ),
        "t / Write <!ENTITY x 'y'> or <!DOCTYPE a [<!ENTITY b 'c'>]>.",
    ),
    "a feed of RSS 0.91 with its document type": (
        lambda: rss(
            "<title>t</title><description>d</description>",
            '<!DOCTYPE rss PUBLIC "-//N//DTD RSS 0.91//EN" "http://n.example/r.dtd">',
        ),
        "t / d",
    ),
    "a title with escaped markup": (lambda: rss("<title>&lt;b&gt;Big&lt;/b&gt; AT&amp;amp;T</title>"), "Big AT&T / "),
    "a title about markup": (lambda: atom("<title>The &lt;canvas&gt; element</title>"), "The <canvas> element / "),
    "an entry of XHTML": (
        lambda: atom(
            "<title>t</title><content type='xhtml'><div xmlns='http://www.w3.org/1999/xhtml'><p>a &lt; b</p></div></content>"
        ),
        "t / a < b",
    ),
    "a script in an entry": (
        lambda: rss("<title>t</title><description><![CDATA[<p>Said.</p><script>alert(1)</script>]]></description>"),
        "t / Said.",
    ),
}

REFUSED: dict[str, tuple[Callable[[], object], ErrorKind, str]] = {
    "an XFA form without data": (lambda: xfa(""), ErrorKind.DOCUMENT_UNSUPPORTED, "print it to a new PDF"),
    "a portfolio": (
        lambda: extract(
            pdf_of(
                b"<</Type/Catalog/Pages 2 0 R/Collection<<>>/Names<</EmbeddedFiles<</Names[(a.pdf) 3 0 R]>>>>>>",
                b"<</Type/Pages/Count 1/Kids[4 0 R]>>",
                b"<</Type/Filespec/F(a.pdf)/EF<</F 5 0 R>>>>",
                b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
                stream(b"x"),
            ),
            "all.pdf",
        ),
        ErrorKind.DOCUMENT_UNSUPPORTED,
        "portfolio of 1 files (a.pdf)",
    ),
    "a feed with entities of its own": (
        lambda: rss("<title>&e;</title>", '<!DOCTYPE rss [<!-- > --><!ENTITY e "x">]>'),
        ErrorKind.SOURCE_UNAVAILABLE,
        "entities of its own",
    ),
    "a page instead of a feed": (
        lambda: read_feed(b"<!DOCTYPE html><html><body>Log in</body></html>", "feed"),
        ErrorKind.SOURCE_UNAVAILABLE,
        "not an RSS or Atom feed",
    ),
}


@pytest.mark.parametrize("situation", READ)
def test_what_people_hand_in_is_read(situation: str) -> None:
    read, expected = READ[situation]
    assert read() == expected


@pytest.mark.parametrize("situation", REFUSED)
def test_what_cannot_be_read_is_told_as_what_it_is(situation: str) -> None:
    read, kind, says = REFUSED[situation]
    with pytest.raises(ApplicationError) as caught:
        read()
    assert kind_of(caught.value) is kind
    assert says in caught.value.message


def test_the_guide_lists_every_situation_and_no_other() -> None:
    listed = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", (ROOT / "docs" / "documents.md").read_text(), re.MULTILINE)
    assert sorted(name for name, _ in listed if name[:1] != "-" and name != "situation") == sorted([*READ, *REFUSED])
