import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.errors import WeightsError
from faceloom.models.catalog import CATALOG, read_catalog
from faceloom.models.dynamic import AXES

ENTRY = {
    "file": '"net.onnx"',
    "sha256": f'"{"0" * 64}"',
    "size_bytes": "12",
    "licence": '"MIT"',
    "places": '["https://example.org/net.onnx"]',
}


def written(**changes: str | None) -> str:
    fields = {key: value for key, value in {**ENTRY, **changes}.items() if value is not None}
    return "[net]\n" + "\n".join(f"{key} = {value}" for key, value in fields.items())


def read_or_refuse(text: str) -> None:
    try:
        read_catalog(text)
    except WeightsError:
        return


def test_an_entry_is_read_as_it_is_written() -> None:
    entry = read_catalog(written(dynamic='["batch"]'))["net"]
    assert (entry.name, entry.file, entry.size_bytes, entry.dynamic) == ("net", "net.onnx", 12, ("batch",))


@pytest.mark.parametrize("name", CATALOG)
def test_a_file_is_pinned_by_a_whole_digest(name: str) -> None:
    digest = CATALOG[name].sha256
    assert len(digest) == 64
    assert set(digest) <= set(string.hexdigits.lower())


@pytest.mark.parametrize("name", CATALOG)
def test_a_file_has_a_size_a_licence_and_a_word_about_it(name: str) -> None:
    entry = CATALOG[name]
    assert entry.size_bytes > 0
    assert entry.licence
    assert entry.about


@pytest.mark.parametrize("name", CATALOG)
def test_a_file_has_a_place_that_never_changes(name: str) -> None:
    places = CATALOG[name].places
    assert places
    for place in places:
        package, _, member = place.removeprefix("pypi:").partition("!")
        is_pinned_wheel = place.startswith("pypi:") and "==" in package and bool(member)
        assert is_pinned_wheel or place.startswith("https://")


@pytest.mark.parametrize("name", CATALOG)
def test_the_axes_to_free_are_axes(name: str) -> None:
    assert set(CATALOG[name].dynamic) <= set(AXES)


@pytest.mark.parametrize(
    "text",
    [
        "[net",
        'net = "net.onnx"',
        "net = 3",
        "[[net]]\nfile = 'net.onnx'",
        *(written(**{field: None}) for field in ENTRY if field != "places"),
        written(colour='"red"'),
        written(name='"other"'),
    ],
)
def test_a_malformed_catalog_is_refused(text: str) -> None:
    with pytest.raises(WeightsError):
        read_catalog(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sha256", "5"),
        ("sha256", '"abc"'),
        ("sha256", f'"{"z" * 64}"'),
        ("sha256", "[" + "1," * 64 + "]"),
        ("size_bytes", '"12"'),
        ("size_bytes", "1.5"),
        ("file", "7"),
        ("licence", "true"),
        ("places", "5"),
        ("places", '"https://example.org/net.onnx"'),
        ("places", "[1]"),
        ("dynamic", "1"),
        ("dynamic", '"batch"'),
        ("about", "[]"),
    ],
)
def test_a_field_of_the_wrong_type_is_refused(field: str, value: str) -> None:
    with pytest.raises(WeightsError):
        read_catalog(written(**{field: value}))


@given(st.text())
def test_text_that_is_no_catalog_breaks_nothing(text: str) -> None:
    read_or_refuse(text)


values = st.recursive(
    st.integers() | st.booleans() | st.text(string.ascii_letters, max_size=5).map(lambda text: f'"{text}"'),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(map(str, items))}]"),
)


@given(
    st.dictionaries(st.sampled_from([*ENTRY, "dynamic", "about", "name", "net"]), values.map(lambda v: str(v).lower()))
)
def test_an_entry_of_any_fields_breaks_nothing(fields: dict[str, str]) -> None:
    read_or_refuse("[net]\n" + "\n".join(f"{key} = {value}" for key, value in fields.items()))
