"""The file of an export: whole for any reader, the same for the same documents, however it is written."""

import io
import struct
import zipfile
from datetime import UTC, datetime

import pytest

from services.renderer.archives import MANIFEST, Window, Zip
from shared.messages import ExportedDocument

AT = datetime(2026, 3, 1, 9, 30, 14, tzinfo=UTC)
DATA_DESCRIPTOR = 1 << 3


def document(number: int, *, pdf: bytes = b"%PDF-1.7", message: str = "") -> ExportedDocument:
    return ExportedDocument(
        document_id=f"doc_{number}",
        number=f"INV-2026-{number:06}" if number % 2 else None,
        updated_at=AT,
        pdf=pdf,
        error="not_found" if message else "",
        message=message,
    )


def zipped(*documents: ExportedDocument) -> bytes:
    archive = Zip()
    return b"".join([*(archive.add(each) for each in documents), archive.end()])


def test_a_zip_can_be_read_as_it_comes() -> None:
    """By each entry's own header, from the first byte on, as readers do that never see the end."""
    contents = {f"INV-2026-{number:06}.pdf": bytes([number]) * 5_000 for number in range(1, 200, 2)}
    archive = zipped(*(document(number, pdf=bytes([number]) * 5_000) for number in range(1, 200, 2)))
    at, found = 0, dict[str, bytes]()
    while archive[at : at + 4] == b"PK\x03\x04":
        size, name_size, extra_size = struct.unpack_from("<I4xHH", archive, at + 18)
        name = archive[at + 30 : at + 30 + name_size].decode()
        at += 30 + name_size + extra_size
        found[name] = archive[at : at + size]
        at += size
    assert found.pop(MANIFEST).count(b"\n") == 101
    assert found == contents


def test_an_entry_is_complete_in_its_header_stored_and_dated_by_its_document() -> None:
    with zipfile.ZipFile(io.BytesIO(zipped(document(1), document(2)))) as opened:
        for entry in opened.infolist():
            assert not entry.flag_bits & DATA_DESCRIPTOR
            assert entry.compress_type == zipfile.ZIP_STORED
            assert entry.date_time == (2026, 3, 1, 9, 30, 14)
        assert opened.namelist() == ["INV-2026-000001.pdf", "doc_2.pdf", MANIFEST]


def test_a_document_without_a_file_stands_in_the_manifest_alone() -> None:
    with zipfile.ZipFile(io.BytesIO(zipped(document(2, pdf=b"", message='It is "gone", alas')))) as opened:
        assert opened.namelist() == [MANIFEST]
        rows = opened.read(MANIFEST).decode().splitlines()
    assert rows == ["file,document_id,number,error", ',doc_2,,"It is ""gone"", alas"']


def test_the_same_documents_are_the_same_bytes() -> None:
    assert zipped(document(1), document(2)) == zipped(document(1), document(2))


def test_memory_holds_only_what_is_not_taken_yet() -> None:
    archive = Zip()
    for number in range(50):
        assert len(archive.add(document(number, pdf=b"x" * 100_000))) < 101_000
    assert len(archive.end()) < 50 * 200


@pytest.mark.parametrize("whence", [io.SEEK_SET, io.SEEK_END])
def test_a_window_is_a_file_at_its_end(whence: int) -> None:
    window = Window()
    window.write(b"taken")
    assert window.take() == b"taken"
    window.write(b"head body")
    assert window.seek(5 if whence == io.SEEK_SET else -9, whence) == 5
    window.write(b"HEAD")
    assert window.tell() == 9
    assert window.take() == b"HEAD body"
