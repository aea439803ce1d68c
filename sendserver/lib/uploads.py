"""A cap on uploaded files while they arrive, so that a file above it never fills the disk."""

from __future__ import annotations

from django.conf import settings
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.http import HttpRequest

_MARK = "sendserver.upload_too_large"


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
