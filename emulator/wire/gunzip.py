"""The bytes of a file, as they are or unpacked; what is asked for bounds what is held, whatever the file says.

Source: RFC 1952; zeros between and behind members are passed over, as gzip does.
"""

import zlib
from io import FileIO

GZIP_MAGIC = b"\x1f\x8b"
PIECE = 32 * 1024


class File:
    """A file read from front to back.

    Attributes
    ----------
    position : bytes read so far
    trouble : why the bytes ended, where it was not the end of the file; else empty
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self.position = 0
        self.trouble = ""

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        try:
            data = self._file.read(size) or b""
        except OSError as error:
            self.trouble, data = f"cannot be read on: {error.strerror}", b""
        self.position += len(data)
        return data

    def read_into(self, room: memoryview) -> int:
        """Fill room with bytes, or a part of it; how many, 0 at the end."""
        try:
            count = self._file.readinto(room) or 0
        except OSError as error:
            self.trouble, count = f"cannot be read on: {error.strerror}", 0
        self.position += count
        return count


class Gunzip:
    """What the gzip members of a file hold.

    Parameters
    ----------
    source : the file
    begin : bytes that were read from it already

    Attributes
    ----------
    trouble : why the bytes ended, where it was not the end of the last member; else empty
    """

    def __init__(self, source: File, begin: bytes) -> None:
        self._source = source
        self._engine = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._input = begin
        self._ended = False
        self.trouble = ""

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        while not self._ended:
            before = self._engine.copy()
            try:
                output = self._engine.decompress(self._input, size)
            except zlib.error:
                self._end("the gzip data is corrupt")
                return self._rescue(before, size)
            # Even with no input left the engine may hold output, so more is read only once it gave nothing.
            self._input = self._engine.unconsumed_tail
            if self._engine.eof:
                self._next_member()
            elif not output and not self._input:
                self._input = self._source.read(PIECE)
                if not self._input:
                    self._end("the gzip data is cut")
            if output:
                return output
        return b""

    def read_into(self, room: memoryview) -> int:
        """Fill room with bytes, or a part of it; how many, 0 at the end."""
        output = self.read(min(len(room), 8 * PIECE))
        room[: len(output)] = output
        return len(output)

    def _end(self, trouble: str) -> None:
        self._ended = True
        self.trouble = self._source.trouble or trouble

    def _rescue(self, engine: "zlib._Decompress", size: int) -> bytes:
        """The bytes before the fault, which zlib keeps to itself: the same input again, byte by byte."""
        output, rest = bytearray(), b""
        try:
            for at in range(len(self._input)):
                if len(output) >= size:
                    break
                output += engine.decompress(rest + self._input[at : at + 1], size - len(output))
                rest = engine.unconsumed_tail
        except zlib.error:
            pass
        return bytes(output)

    def _next_member(self) -> None:
        rest = self._engine.unused_data.lstrip(b"\0")
        while len(rest) < len(GZIP_MAGIC):
            piece = self._source.read(PIECE)
            if not piece:
                return self._end("bytes behind the gzip data were left out" if rest else "")
            rest = (rest + piece).lstrip(b"\0")
        if not rest.startswith(GZIP_MAGIC):
            return self._end("bytes behind the gzip data were left out")
        self._engine = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._input = rest
        return None
