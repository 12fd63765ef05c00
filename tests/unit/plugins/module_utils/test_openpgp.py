"""Keys made by GnuPG: what they are called and when they expire, and every way in which a file is none."""

from __future__ import annotations

import base64
import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import openpgp as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError

# gpg --quick-generate-key ... ed25519 sign 1d, on 2024-01-01.
EXPIRED = """-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEZZIAgBYJKwYBBAHaRw8BAQdAgo8UsI0rRYpmYha7qcWvg9iUlllB81xIHfP6
Trb4ZTG0C0xhYiBleHBpcmVkiJYEExYIAD4WIQQy6gCIwsh1tsKi14mZHfZWu/sb
kgUCZZIAgAIbAwUJAAFRgAULCQgHAgYVCgkICwIEFgIDAQIeAQIXgAAKCRCZHfZW
u/sbknX1APwLg+mEnMpsnvuU/np7ISB5dc1NsouhUc5O+16EjjvVGgD/ZO4Ih+zR
cAmVcDgn4/jMelklQtLrOvl9vgIaAYfRaAk=
=N9ss
-----END PGP PUBLIC KEY BLOCK-----
"""
# The same, then gpg --quick-set-expire ... 20y twelve hours later.
RENEWED = """-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEZZIAgBYJKwYBBAHaRw8BAQdApMCHQ74zF3kQx4l5kJa2Pd9d6f7AKQIz0lYW
+G7oAUO0C0xhYiByZW5ld2VkiJYEExYIAD4CGwMFCwkIBwIGFQoJCAsCBBYCAwEC
HgECF4AWIQRjj4VqpLR450VBWq3IqvWmAEKFHAUCZZKpQAUJJZiuwAAKCRDIqvWm
AEKFHLX1AP4ySmdv3JsMAiNY7+EHGh4roQWg3VSWwrGlkvB++u1wTQEAtGFwChID
XKqNHwY4fKEfTINKFcBK5Ovf2vCanNOyXAg=
=HuVj
-----END PGP PUBLIC KEY BLOCK-----
"""
MADE = 1704067200
TODAY = 1795000000.0


def test_keys_as_gnupg_lists_them() -> None:
    assert subject.read_keys(EXPIRED, "") == [
        subject.Key("32EA0088C2C875B6C2A2D789991DF656BBFB1B92", MADE, MADE + 86400)
    ]
    assert subject.read_keys(EXPIRED + RENEWED, "")[1] == subject.Key(
        "638F856AA4B478E745415AADC8AAF5A60042851C", MADE, 2334830400
    )


def test_fault_10_an_expired_key() -> None:
    with pytest.raises(InputError) as caught:
        subject.require_key(EXPIRED, "Release.key", "", TODAY)
    assert "expired on 2024-01-02" in caught.value.found
    assert caught.value.where == "Release.key"
    assert subject.require_key(EXPIRED, "", "", MADE + 86399).fingerprint.startswith("32EA")


def test_another_key_than_the_expected_one() -> None:
    with pytest.raises(InputError, match="not the expected one"):
        subject.require_key(RENEWED, "", "32EA0088C2C875B6C2A2D789991DF656BBFB1B92", TODAY)
    fingerprint = "638F 856A A4B4 78E7 4541 5AAD C8AA F5A6 0042 851C"
    assert subject.require_key(EXPIRED + RENEWED, "", fingerprint.lower(), TODAY).expires == 2334830400


def test_any_of_the_file_when_none_is_expected() -> None:
    assert subject.require_key(EXPIRED + RENEWED, "", "", TODAY).fingerprint.startswith("638F")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>Please log in</html>",
        EXPIRED.replace("mDME", "AAAA"),
        EXPIRED.replace("mDME", "mP8E"),
        EXPIRED.replace("mDMEZZ", "mDM?ZZ"),
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----\n",
    ],
)
def test_a_file_that_is_no_key(text: str) -> None:
    with pytest.raises(InputError, match="key cannot be used"):
        subject.read_keys(text, "here")


def armored(data: bytes) -> str:
    body = base64.encodebytes(data).decode()
    return f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{body}-----END PGP PUBLIC KEY BLOCK-----\n"


def old_packet(tag: int, body: bytes) -> bytes:
    return bytes([0x80 | tag << 2 | 1]) + struct.pack(">H", len(body)) + body


def signature(created: int, lifetime: int, kind: int = 0x13) -> bytes:
    area = b"\x05\x02" + struct.pack(">I", created) + b"\x05\x89" + struct.pack(">I", lifetime)
    return bytes([4, kind, 22, 8]) + struct.pack(">H", len(area)) + area


KEY = b"\x04" + struct.pack(">I", MADE) + b"\x16rest"


@given(
    st.lists(st.tuples(st.integers(MADE, MADE + 10**6), st.integers(0, 10**6)), max_size=5, unique_by=lambda x: x[0])
)
def test_the_newest_self_signature_counts(signatures: list[tuple[int, int]]) -> None:
    data = old_packet(6, KEY) + b"".join(old_packet(2, signature(*one)) for one in signatures)
    # Somebody else's certification says nothing of how long the key is good.
    data += old_packet(2, signature(MADE + 10**7, 1, kind=0x18))
    (key,) = subject.read_keys(armored(data), "")
    lifetime = max(signatures)[1] if signatures else 0
    assert key.expires == (MADE + lifetime if lifetime else 0)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_key_or_an_error(data: bytes) -> None:
    with contextlib.suppress(InputError):
        subject.read_keys(armored(data), "here")
