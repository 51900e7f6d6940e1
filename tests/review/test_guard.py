import base64
import socket

import pytest

from faceloom.review.guard import Door

DOOR = Door(token="secret", port=8765)
OURS = {"host": "127.0.0.1:8765"}


def status(door: Door, path: str = "/secret/", method: str = "GET", **headers: str) -> int | None:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    refused = door.refuses(path, told, method)
    return refused and refused[0]


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "[::1]:8765"])
def test_the_page_is_known_by_the_names_of_this_machine(host: str) -> None:
    assert status(DOOR, host=host) is None


@pytest.mark.parametrize(
    "host", ["", "evil.example:8765", "127.0.0.1", "127.0.0.1:8766", "127.0.0.1.evil.example:8765", "10.0.0.1:8765"]
)
def test_a_foreign_host_is_refused(host: str) -> None:
    assert status(DOOR, host=host) == 403


@pytest.mark.parametrize("path", ["/", "", "/secre/", "/secrets/", "/api/state", "//secret/", "/SECRET/"])
def test_a_path_without_the_token_is_refused(path: str) -> None:
    assert status(DOOR, path, **OURS) == 403


def test_another_page_is_refused_whatever_it_knows() -> None:
    assert status(DOOR, **OURS, origin="http://evil.example") == 403
    assert status(DOOR, **OURS, origin="null") == 403
    assert status(DOOR, **OURS, sec_fetch_site="cross-site") == 403
    assert status(DOOR, **OURS, sec_fetch_site="same-site") == 403
    assert status(DOOR, **OURS, origin="http://127.0.0.1:8765", sec_fetch_site="same-origin") is None


def test_what_is_said_is_json_of_a_length_that_is_told() -> None:
    def posted(**headers: str) -> int | None:
        return status(DOOR, method="POST", **OURS, **headers)

    assert posted(content_type="application/json", content_length="12") is None
    assert posted(content_type="text/plain", content_length="12") == 415  # what a form of another page could send
    assert posted(content_type="application/json") == 413
    assert posted(content_type="application/json", content_length="99999999999") == 413


def test_others_need_the_password_too() -> None:
    door = Door(token="secret", port=8765, host="0.0.0.0", password="pass:wörd")

    def with_password(text: str) -> int | None:
        return status(door, host="192.168.1.7:8765", authorization=f"Basic {base64.b64encode(text.encode()).decode()}")

    assert status(door, host="192.168.1.7:8765") == 401
    assert with_password("anybody:pass:wörd") is None
    assert with_password("anybody:pass") == with_password("pass:wörd:") == 401
    assert status(door, host="192.168.1.7:8765", authorization="Basic ???") == 401
    assert status(door, host="evil.example:8765") == 403
    assert status(door, host=f"{socket.gethostname()}:8765") == 401


def test_every_page_has_a_token_of_its_own_in_its_address() -> None:
    one, other = Door.new(port=1), Door.new(port=1)
    assert one.token != other.token
    assert len(one.token) >= 32
    assert one.address == f"http://127.0.0.1:1/{one.token}/"
    assert Door(token="t", port=2, host="::1").address == "http://[::1]:2/t/"
