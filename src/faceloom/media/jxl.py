"""The size of a JPEG XL by its header: whoever else is asked decodes all of it."""

_CODESTREAM = b"\xff\x0a"
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_SIDE_BITS = (9, 13, 18, 30)


def jxl_size(head: bytes) -> tuple[int, int]:
    """Height and width as shown (ISO/IEC 18181-1, D.2 and D.3).

    Raises:
        ValueError: there is no codestream in these bytes.
    """
    place = head.find(_CODESTREAM)  # of a file of boxes: the first box that holds it
    if place < 0:
        raise ValueError("no codestream")
    bits = _Bits(head[place + 2 :])
    is_small = bits.take(1)
    height = 8 * (bits.take(5) + 1) if is_small else bits.side()
    ratio = bits.take(3)
    if ratio:
        across, down = _RATIOS[ratio - 1]
        width = height * across // down
    else:
        width = 8 * (bits.take(5) + 1) if is_small else bits.side()
    is_default = bits.take(1)
    has_extra = not is_default and bits.take(1)
    is_sideways = has_extra and bits.take(3) >= 4
    return (width, height) if is_sideways else (height, width)


class _Bits:
    """Numbers out of bytes, the lowest bits first."""

    def __init__(self, content: bytes) -> None:
        self._value = int.from_bytes(content[:32], "little")

    def take(self, count: int) -> int:
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        return taken

    def side(self) -> int:
        return 1 + self.take(_SIDE_BITS[self.take(2)])
