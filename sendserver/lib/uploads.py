"""A cap on uploaded files while they arrive, so that a file above it never fills the disk; and a disk that is full."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.conf import settings
from django.core.files.uploadhandler import FileUploadHandler, StopUpload, TemporaryFileUploadHandler
from django.http import HttpRequest

from sendserver.lib import disk

log = logging.getLogger(__name__)
_MARK = "sendserver.upload_too_large"
_NO_ROOM = "sendserver.upload_no_room"


class CappedUploadHandler(FileUploadHandler):
    """Stands before Django's own handlers: passes pieces on and ends the upload above MAX_UPLOAD_BYTES.

    The rest of the request is read and thrown away, so that the page can say what is wrong instead of a broken
    connection.
    """

    chunk_size = 64 * 1024
    _received = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        """Count a piece and pass it on."""
        self._received += len(raw_data)
        if self._received > settings.MAX_UPLOAD_BYTES:
            if self.request is not None:
                self.request.META[_MARK] = "yes"
            raise StopUpload(connection_reset=False)
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """Leave the file to the handlers behind."""
        return


def was_too_large(request: HttpRequest) -> bool:
    """Tell whether a file of this request was cut off at the cap."""
    return request.META.get(_MARK) == "yes"


class DiskUploadHandler(TemporaryFileUploadHandler):
    """Django's own, ending the upload where its disk takes nothing more, so that the page can say so."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Open the temporary file."""
        with self._room():
            super().new_file(*args, **kwargs)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Write a piece, through to the disk: what waits in a buffer would fail where nobody can answer for it."""
        with self._room():
            super().receive_data_chunk(raw_data, start)
            self.file.flush()

    def upload_interrupted(self) -> None:
        """Throw the file away; closing it fails once more over what is left in its buffer."""
        with suppress(OSError):
            super().upload_interrupted()

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not disk.takes_nothing(error):
                raise
            log.critical("an upload found no room: %s", error)
            if self.request is not None:
                self.request.META[_NO_ROOM] = "yes"
            raise StopUpload(connection_reset=False) from error


def found_no_room(request: HttpRequest) -> bool:
    """Tell whether a file of this request could not be written."""
    return request.META.get(_NO_ROOM) == "yes"
