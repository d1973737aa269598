"""What a PDF says about itself, as an XMP packet (ISO 16684-1); pure.

Written here because a general XMP library takes as long as all the rest of finishing, and signs with its name.
"""

from datetime import datetime
from xml.sax.saxutils import escape

from services.renderer.page import DocumentPage

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


def metadata_packet(page: DocumentPage, updated_at: datetime) -> bytes:
    """``updated_at`` is UTC."""
    fields = {
        "title": page.file_title,
        "author": page.author,
        "subject": page.subject,
        "language": page.language,
        "producer": PRODUCER,
        "date": updated_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return PACKET.format_map({name: escape(value) for name, value in fields.items()}).encode()
