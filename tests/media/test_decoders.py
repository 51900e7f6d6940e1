from hypothesis import given
from hypothesis import strategies as st

from faceloom.media.decoders import Coding, decoder_bytes

SIDES = st.integers(1, 10_000)
CODECS = st.sampled_from(["h264", "hevc", "libdav1d", "vp9", "vp8", "mpeg2video", "nobody-knows", "vvc"])


@given(CODECS, SIDES, SIDES, st.integers(1, 16), st.sampled_from([12, 16, 24, 32, 48]))
def test_a_decoder_holds_every_picture_that_it_has_to_keep(
    codec: str, height: int, width: int, references: int, bits: int
) -> None:
    coding = Coding(codec=codec, height=height, width=width, references=references, bits_a_pixel=bits)
    told = references if codec in {"h264", "hevc"} else 2
    assert decoder_bytes(coding) >= (told + 1) * height * width * bits // 8


@given(CODECS, st.integers(16, 4000), st.integers(16, 4000))
def test_a_stream_that_tells_nothing_is_believed_to_keep_most(codec: str, height: int, width: int) -> None:
    silent = Coding(codec=codec, height=height, width=width)
    assert decoder_bytes(silent) >= decoder_bytes(Coding(codec=codec, height=height, width=width, references=1))
