"""The sheets that a document is printed on; pure."""

import hashlib


def mark(document_id: str, number: int) -> str:
    """What names a sheet in a print, as private subtags of its language (BCP 47, 2.2.7); ``number`` counts from 1."""
    digest = hashlib.sha256(document_id.encode()).hexdigest()
    return f"x-{digest[:8]}-{digest[8:16]}-p{number}"
