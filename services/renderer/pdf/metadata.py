"""What a PDF says about itself, as an XMP packet (ISO 16684-1) and in the older way beside it; pure.

Written here because a general XMP library takes as long as all the rest of finishing, and signs with its name.
"""

from datetime import UTC, datetime
from xml.sax.saxutils import escape

import msgspec

from services.renderer.pdf.file import text

PRODUCER = "InvoUno"
PACKET = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
  xmlns:pdf="http://ns.adobe.com/pdf/1.3/" xmlns:xmp="http://ns.adobe.com/xap/1.0/">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>{author}</rdf:li></rdf:Seq></dc:creator>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{subject}</rdf:li></rdf:Alt></dc:description>
<dc:language><rdf:Bag><rdf:li>{language}</rdf:li></rdf:Bag></dc:language>
<pdf:Producer>{producer}</pdf:Producer>
<xmp:CreatorTool>{producer}</xmp:CreatorTool>
<xmp:CreateDate>{date}</xmp:CreateDate>
<xmp:ModifyDate>{date}</xmp:ModifyDate>
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>
"""


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """``language`` is BCP 47; of ``updated_at``, which has a zone, whole seconds are told."""

    language: str
    title: str
    author: str
    subject: str
    updated_at: datetime


def metadata_packet(described: Description) -> bytes:
    fields = {
        "title": described.title,
        "author": described.author,
        "subject": described.subject,
        "language": described.language,
        "producer": PRODUCER,
        "date": described.updated_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return PACKET.format_map({name: escape(value) for name, value in fields.items()}).encode()


def information(described: Description) -> bytes:
    """The information dictionary (ISO 32000-2, 14.3.3)."""
    date = described.updated_at.astimezone(UTC).strftime("D:%Y%m%d%H%M%SZ")
    fields = {
        "Title": described.title,
        "Author": described.author,
        "Subject": described.subject,
        "Creator": PRODUCER,
        "Producer": PRODUCER,
        "CreationDate": date,
        "ModDate": date,
    }
    return b"<<%s>>" % b"".join(b"/%s%s" % (name.encode(), text(value)) for name, value in fields.items())
