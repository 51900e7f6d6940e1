"""Bits of a stream, read one after another, as codecs write them."""


class Bits:
    """Reads bytes bit by bit, the highest bit first."""

    def __init__(self, content: bytes) -> None:
        """From the first bit on."""
        self._value = int.from_bytes(content, "big")
        self._left = 8 * len(content)

    def read(self, count: int) -> int:
        """The number that the next so many bits are.

        Raises:
            ValueError: there are not so many.
        """
        if count > self._left:
            raise ValueError("the content ends")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def unsigned(self) -> int:
        """A number of Exp-Golomb code (ITU-T H.264, 9.1).

        Raises:
            ValueError: the content ends.
        """
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)

    def signed(self) -> int:
        """The same for numbers that may be negative (9.1.1)."""
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def without_escapes(content: bytes) -> bytes:
    """What a NAL unit holds, without the bytes that keep start codes out of it (ITU-T H.264, 7.4.1)."""
    return content.replace(b"\x00\x00\x03", b"\x00\x00")
