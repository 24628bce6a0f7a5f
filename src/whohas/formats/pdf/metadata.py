"""Document metadata, as the Info dictionary (PDF) and as XMP (PDF/A), which must have identical values.

Characters that XML does not allow are replaced by U+FFFD in both.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from xml.sax.saxutils import escape

from whohas.formats.base import ReportMetadata
from whohas.formats.pdf.document import text_string

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TOOL = "whohas"
_UA_SCHEMA = """<pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource">
<pdfaSchema:schema>PDF/UA identification</pdfaSchema:schema>
<pdfaSchema:namespaceURI>http://www.aiim.org/pdfua/ns/id/</pdfaSchema:namespaceURI>
<pdfaSchema:prefix>pdfuaid</pdfaSchema:prefix>
<pdfaSchema:property><rdf:Seq><rdf:li rdf:parseType="Resource">
<pdfaProperty:name>part</pdfaProperty:name><pdfaProperty:valueType>Integer</pdfaProperty:valueType>
<pdfaProperty:category>internal</pdfaProperty:category>
<pdfaProperty:description>The part of ISO 14289 that the document keeps</pdfaProperty:description>
</rdf:li></rdf:Seq></pdfaSchema:property>
</rdf:li></rdf:Bag></pdfaExtension:schemas>"""
"""Description of the PDF/UA schema: PDF/A allows only predefined XMP properties and those whose schema the document
describes (ISO 19005-2, 6.6.2.3.3)."""


def info_dictionary(about: ReportMetadata) -> bytes:
    """Return the Info dictionary, as PDF syntax without the object around it."""
    entries = {
        b"Title": text_string(_xml_characters(about.title)),
        b"Author": text_string(_xml_characters(about.launcher)),
        b"Subject": text_string(_xml_characters(about.description)),
        b"Creator": text_string(_TOOL),
        b"Producer": text_string(_producer()),
        b"CreationDate": b"(D:%b)" % about.started_at.strftime("%Y%m%d%H%M%SZ").encode(),
    }
    return b"<<%b>>" % b"".join(b"/%b %b" % entry for entry in entries.items())


def xmp_packet(about: ReportMetadata, tagged: bool) -> bytes:
    """Return the XMP packet: the values of `info_dictionary`, and the standards that the document conforms to.

    Args:
        tagged: whether the document is tagged: PDF/A-2a and PDF/UA-1 if so, else PDF/A-2u.
    """
    accessible = f"<pdfuaid:part>1</pdfuaid:part>{_UA_SCHEMA}" if tagged else ""
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:pdf="http://ns.adobe.com/pdf/1.3/" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/"
 xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/" xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/"
 xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#" xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#">
<dc:format>application/pdf</dc:format>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{_xml(about.title)}</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>{_xml(about.launcher)}</rdf:li></rdf:Seq></dc:creator>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{_xml(about.description)}</rdf:li></rdf:Alt></dc:description>
<xmp:CreatorTool>{_TOOL}</xmp:CreatorTool><xmp:CreateDate>{about.started_at:%Y-%m-%dT%H:%M:%SZ}</xmp:CreateDate>
<pdf:Producer>{_producer()}</pdf:Producer>
<pdfaid:part>2</pdfaid:part><pdfaid:conformance>{"A" if tagged else "U"}</pdfaid:conformance>{accessible}
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>""".encode()


def _producer() -> str:
    return f"{_TOOL} {version('whohas')}"


def _xml_characters(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _xml(text: str) -> str:
    return escape(_xml_characters(text))
