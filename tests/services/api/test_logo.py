"""The logo over HTTP: whatever image is sent, what is kept is a small PNG of our own, or nothing."""

import hashlib
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx2
import pytest
from account import Account, refused
from images import declared, decoded, encoded, picture, svg
from PIL import Image

PATH = "/v1/account/logo"
MB = 1024 * 1024
ORIENTATION = 0x0112
USES = "".join(f'<g id="a{n}">' + f'<use href="#a{n - 1}"/>' * 10 + "</g>" for n in range(1, 10))
IMMENSE = b64encode(declared(40_000, 40_000)).decode()
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


def put(account: Account, data: bytes, kind: str = "image/png", **headers: str) -> httpx2.Response:
    return account.http.put(PATH, content=data, headers={"content-type": kind, **headers})


def given(account: Account, data: bytes, kind: str = "image/png") -> dict[str, Any]:
    answer = put(account, data, kind)
    assert answer.status_code == 200, answer.text
    return answer.json()


def kept(account: Account) -> Image.Image:
    answer = account.http.get(PATH)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    return decoded(answer.content)


def test_a_logo_is_told_with_the_account_and_answered_as_png(account: Account) -> None:
    told = given(account, encoded(picture((300, 100))))
    answer = account.http.get(PATH)
    sha256 = hashlib.sha256(answer.content).hexdigest()
    assert told == {"sha256": sha256, "width": 300, "height": 100, "url": PATH}
    assert account.http.get("/v1/account").json()["logo"] == told
    assert answer.headers["etag"] == f'"{sha256}"'
    assert decoded(answer.content).size == (300, 100)


def test_a_known_logo_is_304(account: Account) -> None:
    given(account, encoded(picture()))
    etag = account.http.get(PATH).headers["etag"]
    for tag in (etag, f"W/{etag}", "*", f'"x", {etag}'):
        answer = account.http.get(PATH, headers={"if-none-match": tag})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert account.http.get(PATH, headers={"if-none-match": '"x"'}).status_code == 200


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (encoded(picture()), "image/png"), (encoded(picture(), "JPEG"), "image/jpeg"), (svg(), "image/svg+xml"),
        (encoded(picture(mode="RGBA", colour=(0, 128, 128, 90))), "image/png"),
        (encoded(picture(mode="P", colour=(1,))), "image/png"), (encoded(picture(mode="1", colour=(1,))), "image/png"),
        (encoded(picture(mode="LA", colour=(9, 9))), "image/png"),
        (encoded(picture(mode="I;16", colour=(40_000,))), "image/png"),
        (encoded(picture(mode="CMYK", colour=(0, 255, 0, 0)), "JPEG"), "image/jpeg"),
        (encoded(picture(mode="L", colour=(7,)), "JPEG"), "image/jpeg"),
        (b"\xef\xbb\xbf" + svg(), "image/svg+xml; charset=utf-8"), (encoded(picture((1, 1))), "IMAGE/PNG"),
    ],
)  # fmt: skip
def test_pictures_of_every_usual_kind_are_taken(house: Account, data: bytes, kind: str) -> None:
    told = given(house, data, kind)
    assert kept(house).size == (told["width"], told["height"])


@pytest.mark.parametrize(
    ("size", "fitted"), [((2400, 600), (1200, 300)), ((600, 2400), (150, 600)), ((1200, 600), (1200, 600)),
                         ((20_000, 1), (1200, 1))],
)  # fmt: skip
def test_a_large_picture_is_scaled_down_to_fit(
    house: Account, size: tuple[int, int], fitted: tuple[int, int]
) -> None:
    given(house, encoded(picture(size)))
    assert kept(house).size == fitted


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "I;16"])
def test_as_many_pixels_as_are_allowed_can_be_drawn(house: Account, mode: str) -> None:
    image = Image.new(mode, (5_000, 5_000))
    assert given(house, encoded(image))["width"] == 600


def test_an_svg_is_drawn_as_large_as_a_logo_may_be(house: Account) -> None:
    told = given(house, svg(), "image/svg+xml")
    assert (told["width"], told["height"]) == (1200, 480)
    drawn = kept(house).convert("RGBA")
    assert (drawn.getpixel((240, 240)), drawn.getpixel((1000, 240))) == ((0, 128, 128, 255), (0, 0, 0, 0))


def test_what_shines_through_goes_on_doing_so(house: Account) -> None:
    given(house, encoded(picture(mode="RGBA", colour=(200, 100, 50, 90))))
    assert kept(house).convert("RGBA").getpixel((0, 0)) == (200, 100, 50, 90)


def test_a_photo_is_turned_upright_and_loses_all_that_its_file_told(house: Account) -> None:
    image = picture((40, 20))
    exif = image.getexif()
    exif[ORIENTATION] = 6
    exif[0x010E] = "taken at home"
    given(house, encoded(image, "JPEG", exif=exif, comment=b"secret place"), "image/jpeg")
    assert kept(house).size == (20, 40)
    content = house.http.get(PATH).content
    assert (b"home" in content, b"secret" in content, b"eXIf" in content) == (False, False, False)


def test_a_picture_that_is_also_something_else_is_only_a_picture_afterwards(house: Account) -> None:
    given(house, encoded(picture()) + b"PK\x03\x04 <script>alert(1)</script> %PDF-1.4")
    content = house.http.get(PATH).content
    assert (b"script" in content, b"PK\x03" in content, b"%PDF" in content) == (False, False, False)


def test_scripts_and_links_of_an_svg_are_never_run_nor_kept(house: Account) -> None:
    inside = '<script>alert(1)</script><a href="https://acme.example"><rect width="9" height="9" onclick="x()"/></a>'
    given(house, svg(inside), "image/svg+xml")
    assert b"acme" not in house.http.get(PATH).content


HOSTILE = {
    "empty": (b"", "image/png"),
    "no image": (b"<html>" * 100, "image/png"),
    "jpeg called png": (encoded(picture(), "JPEG"), "image/png"),
    "png called jpeg": (encoded(picture()), "image/jpeg"),
    "gif called png": (encoded(picture(), "GIF"), "image/png"),
    "truncated png": (encoded(Image.effect_noise((300, 200), 50))[:-2_000], "image/png"),
    "truncated jpeg": (encoded(Image.effect_noise((300, 200), 50), "JPEG")[:2_000], "image/jpeg"),
    "declared too large": (declared(5_001, 5_000), "image/png"),
    "declared immense": (declared(2**31 - 1, 2**31 - 1), "image/png"),
    "declared larger than it is": (declared(4_000, 4_000), "image/png"),
    "declared nothing": (declared(0, 0), "image/png"),
    "svg in disorder": (b"<svg", "image/svg+xml"),
    "svg of another root": (b"<html/>", "image/svg+xml"),
    "svg in utf-16": (svg().decode().encode("utf-16"), "image/svg+xml"),
    "svg without a size": (svg(size='width="0" height="0"'), "image/svg+xml"),
    "svg with text": (svg("<text>Acme</text>"), "image/svg+xml"),
    "svg with entities": (b'<!DOCTYPE svg [<!ENTITY a "red">]>' + svg('<rect fill="&a;"/>'), "image/svg+xml"),
    "svg that laughs": (f'<!DOCTYPE svg [<!ENTITY l0 "ha">{LAUGHS}]>'.encode() + svg("&l9;"), "image/svg+xml"),
    "svg of a foreign entity": (
        b'<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + svg("&a;"), "image/svg+xml",
    ),
    "svg of a parameter entity": (
        b'<!DOCTYPE svg [<!ENTITY % a SYSTEM "http://127.0.0.1/x"> %a;]>' + svg(), "image/svg+xml",
    ),
    "svg of a file": (svg('<image href="/etc/logo.png" width="9" height="9"/>'), "image/svg+xml"),
    "svg of an address": (
        svg('<i:image xmlns:i="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink" '
            'x:href=" HTTP://127.0.0.1/x.png"/>'), "image/svg+xml",
    ),
    "svg of another svg": (svg('<image href="data:image/svg+xml;base64,PHN2Zy8+"/>'), "image/svg+xml"),
    "svg of an immense picture": (
        svg(f'<image width="9" height="9" href="data:image/png;base64,{IMMENSE}"/>'),
        "image/svg+xml",
    ),
    "svg that uses a file": (svg('<use href="other.svg#a"/>'), "image/svg+xml"),
    "svg of countless uses": (svg(f'<g id="a0"><rect width="1" height="1"/></g>{USES}'), "image/svg+xml"),
    "svg of countless elements": (svg("<g/>" * 30_000), "image/svg+xml"),
    "svg without a floor": (svg("<g>" * 19_000 + "</g>" * 19_000), "image/svg+xml"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_harmless_picture_is_refused_with_a_sentence_and_changes_nothing(
    house: Account, name: str
) -> None:
    given(house, encoded(picture()))
    before = house.http.get("/v1/account").content
    answer = put(house, *HOSTILE[name])
    details = refused(answer, 422, "validation_error")
    assert list(details) == ["logo"]
    assert answer.json()["message"].startswith("The logo cannot be used: ")
    assert house.http.get("/v1/account").content == before


def test_a_picture_that_takes_too_long_to_draw_is_given_up(house: Account) -> None:
    slow = '<filter id="f"><feTurbulence numOctaves="100000"/></filter><rect filter="url(#f)" width="100" height="40"/>'
    refused(put(house, svg(slow), "image/svg+xml"), 422, "validation_error")


def test_a_file_of_the_server_is_never_drawn(house: Account, tmp_path: Path) -> None:
    """Also by a way that the look through the SVG might not know."""
    (tmp_path / "secret.png").write_bytes(encoded(picture(colour="red")))
    inside = f"<style>image {{ href: {tmp_path}/secret.png }}</style><image width='100' height='40'/>"
    given(house, svg(inside), "image/svg+xml")
    assert kept(house).convert("RGBA").getchannel("A").getextrema() == (0, 0)


@pytest.mark.parametrize("kind", ["image/gif", "image/webp", "application/json", "text/plain", "", "image/*"])
@pytest.mark.parametrize("data", [b"", b"x"])
def test_another_media_type_is_415(house: Account, kind: str, data: bytes) -> None:
    refused(put(house, data, kind), 415, "unsupported_media_type")


@pytest.mark.parametrize(("surplus", "status"), [(0, 422), (1, 413)])
def test_an_image_has_at_most_one_megabyte(house: Account, surplus: int, status: int) -> None:
    answer = put(house, b"\x89PNG" + b"\0" * (MB - 4 + surplus))
    refused(answer, status, "payload_too_large" if status == 413 else "validation_error")


def test_a_heavy_picture_is_made_light(house: Account) -> None:
    given(house, encoded(Image.effect_noise((1100, 550), 90), "PNG"))
    assert len(house.http.get(PATH).content) <= 500_000


def test_a_deleted_logo_is_gone(account: Account) -> None:
    refused(account.http.get(PATH), 404, "not_found")
    refused(account.http.delete(PATH), 404, "not_found")
    given(account, encoded(picture()))
    assert account.http.delete(PATH).json() == {"deleted": True}
    refused(account.http.get(PATH), 404, "not_found")
    assert account.http.get("/v1/account").json()["logo"] is None


def test_a_change_of_the_account_keeps_the_logo(account: Account) -> None:
    told = given(account, encoded(picture()))
    assert account.http.put("/v1/account", json={"city": "Paris"}).json()["logo"] == told


def test_a_repeated_put_is_answered_as_it_was(account: Account) -> None:
    once = {"idempotency-key": "logo"}
    first = put(account, encoded(picture()), **once)
    account.http.delete(PATH)
    again = put(account, encoded(picture()), **once)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    refused(account.http.get(PATH), 404, "not_found")


def test_the_same_picture_is_the_same_logo(account: Account) -> None:
    assert given(account, encoded(picture())) == given(account, encoded(picture()))
    assert len(account.sql("select 1 from api.logos where account_id = $1", account.id)) == 1


def test_a_neighbours_logo_is_none_of_ours(open_account: Callable[..., Account]) -> None:
    one, other = open_account(), open_account()
    given(one, encoded(picture()))
    refused(other.http.get(PATH), 404, "not_found")
    given(other, encoded(picture(colour="red")))
    other.http.delete(PATH)
    assert kept(one).convert("RGB").getpixel((0, 0)) == (0, 128, 128)


def test_what_was_sent_keeps_the_logo_of_its_moment(account: Account) -> None:
    def etag(document_id: str) -> str:
        headers = {"if-none-match": "*"}
        return account.http.get(f"/v1/documents/{document_id}/pdf", headers=headers).headers["etag"]

    given(account, encoded(picture()))
    draft, sent = account.document()["id"], account.document(status="sent")["id"]
    before = etag(draft), etag(sent)
    account.http.delete(PATH)
    assert (etag(draft) != before[0], etag(sent)) == (True, before[1])


def test_a_render_finds_the_logo_in_the_object_store(account: Account) -> None:
    sha256 = given(account, encoded(picture()))["sha256"]
    sent = account.document(status="sent")["id"]
    objects = Path(unquote(urlsplit(account.product.urls.objects).path))
    placed = objects / "logo" / account.id / f"{sha256}.png"
    assert not placed.exists()
    assert account.http.get(f"/v1/documents/{sent}/pdf").status_code == 200
    assert placed.read_bytes() == account.http.get(PATH).content


def test_who_would_wait_too_long_for_a_drawing_is_told_to_come_again(house: Account) -> None:
    slow = '<filter id="f"><feTurbulence numOctaves="100000"/></filter><rect filter="url(#f)" width="100" height="40"/>'
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: put(house, svg(slow), "image/svg+xml"), range(10)))
    for answer in answers:
        if answer.status_code == 503:
            refused(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() == {422, 503}
    assert statuses[503] >= 5
    given(house, encoded(picture()))
