"""The file of an export, written document by document in bounded memory: a zip of PDFs, or one PDF of them all."""

import csv
import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from services.renderer.pdf.merge import Merger
from services.renderer.pdf.metadata import Description
from shared.messages import ExportedDocument

MANIFEST = "manifest.csv"
COLUMNS = ("file", "document_id", "number", "error")
FIRST = datetime(1980, 1, 1, tzinfo=UTC)  # a zip tells of nothing older
_UNIX = 3
_PLAIN_FILE = 0o100644


class Archive(Protocol):
    """Takes documents in order, and gives the bytes that are ready to be written."""

    def add(self, document: ExportedDocument) -> bytes: ...

    def end(self) -> bytes: ...


class Zip:
    """PDFs as they are, named by number or id, and a manifest of what is there and what is not."""

    def __init__(self) -> None:
        self._window = Window()
        self._zip = _ZipFile(self._window, "w")
        self._rows: list[tuple[str, str, str, str]] = []
        self._last = FIRST

    def add(self, document: ExportedDocument) -> bytes:
        name = f"{document.number or document.document_id}.pdf" if document.pdf else ""
        self._rows.append((name, document.document_id, document.number or "", document.message))
        if document.pdf:
            at = document.updated_at or self._last
            self._last = max(self._last, at)
            self._zip.writestr(_entry(name, at), document.pdf)
        return self._window.take()

    def end(self) -> bytes:
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(COLUMNS)
        writer.writerows(self._rows)
        self._zip.writestr(_entry(MANIFEST, self._last), table.getvalue())
        self._zip.close()
        return self._window.take()


class Pdf:
    """One PDF; a document that could not be printed is left out."""

    def __init__(self) -> None:
        self._merger = Merger()
        self._count = 0
        self._last = FIRST

    def add(self, document: ExportedDocument) -> bytes:
        if not document.pdf:
            return b""
        self._count += 1
        self._last = max(self._last, document.updated_at or FIRST)
        return self._merger.add(document.pdf)

    def end(self) -> bytes:
        documents = "1 document" if self._count == 1 else f"{self._count:,} documents"
        described = Description(
            language="en", title=documents, author="", subject="Export", updated_at=self._last
        )
        return self._merger.end(described)


ARCHIVES: dict[str, Callable[[], Archive]] = {"zip": Zip, "pdf": Pdf}


class _ZipFile(zipfile.ZipFile):
    """One that is given up is not completed when it is forgotten."""

    def __del__(self) -> None: ...


class Window(io.BytesIO):
    """The end of a file of which the rest has been taken away.

    In it an entry's header is completed in place, as some readers of zips insist on.
    """

    def __init__(self) -> None:
        super().__init__()
        self._taken_bytes = 0

    def tell(self) -> int:
        return self._taken_bytes + super().tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = offset - self._taken_bytes if whence == io.SEEK_SET else offset
        return self._taken_bytes + super().seek(start, whence)

    def take(self) -> bytes:
        data = self.getvalue()
        self._taken_bytes += len(data)
        super().seek(0)
        self.truncate()
        return data


def _entry(name: str, at: datetime) -> zipfile.ZipInfo:
    """All that a zip says of a file, from the document alone."""
    entry = zipfile.ZipInfo(name, at.astimezone(UTC).timetuple()[:6])
    entry.create_system = _UNIX
    entry.external_attr = _PLAIN_FILE << 16
    return entry
