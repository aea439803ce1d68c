"""How many RSA-2048 signatures two processes make a second when they do nothing else: the limit of portal signing."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

from campaigns.bench.processes import serve_order


def work(order: dict[str, Any]) -> dict[str, Any]:
    """Sign for `seconds`, by the very call that the lane's signer uses."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    scheme, digest = padding.PKCS1v15(), utils.Prehashed(hashes.SHA256())
    begun = time.monotonic()
    deadline, signatures = begun + order["seconds"], 0
    while time.monotonic() < deadline:
        for _ in range(20):
            key.sign(hashlib.sha256(signatures.to_bytes(8)).digest(), scheme, digest)
            signatures += 1
    return {"rate": signatures / (time.monotonic() - begun)}


if __name__ == "__main__":
    serve_order(work)
