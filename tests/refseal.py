"""A reader of sealed files, written from noroshi-archive(5) alone, slow.

XChaCha20-Poly1305 as in RFC 8439 and draft-irtf-cfrg-xchacha-03.
"""

import base64
import hashlib
import struct

HEADER, PAGE, TAG = 64, 8192, 16


def quarter(s, a, b, c, d):
    def rotated(v, n):
        return (v << n | v >> (32 - n)) & 0xffffffff
    s[a] = (s[a] + s[b]) & 0xffffffff
    s[d] = rotated(s[d] ^ s[a], 16)
    s[c] = (s[c] + s[d]) & 0xffffffff
    s[b] = rotated(s[b] ^ s[c], 12)
    s[a] = (s[a] + s[b]) & 0xffffffff
    s[d] = rotated(s[d] ^ s[a], 8)
    s[c] = (s[c] + s[d]) & 0xffffffff
    s[b] = rotated(s[b] ^ s[c], 7)


def rounds(state):
    s = list(state)
    for _ in range(10):
        for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14),
                           (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12),
                           (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(s, a, b, c, d)
    return s


WORDS = struct.unpack("<4I", b"expand 32-byte k")


def block(key, counter, nonce):
    state = (*WORDS, *struct.unpack("<8I", key), counter,
             *struct.unpack("<3I", nonce))
    return struct.pack("<16I", *((x + y) & 0xffffffff
                                 for x, y in zip(rounds(state), state)))


def hchacha(key, nonce):
    s = rounds((*WORDS, *struct.unpack("<8I", key),
                *struct.unpack("<4I", nonce)))
    return struct.pack("<8I", *s[:4], *s[12:])


def poly1305(key, text):
    r = int.from_bytes(key[:16], "little") & \
        0x0ffffffc0ffffffc0ffffffc0fffffff
    acc = 0
    for i in range(0, len(text), 16):
        acc = (acc + int.from_bytes(text[i:i + 16] + b"\1", "little")) * r % \
            ((1 << 130) - 5)
    return ((acc + int.from_bytes(key[16:], "little")) &
            ((1 << 128) - 1)).to_bytes(16, "little")


def unseal(key, nonce, text, tag, more=b""):
    """None: it does not open."""
    sub, nonce = hchacha(key, nonce[:16]), bytes(4) + nonce[16:]
    said = more + bytes(-len(more) % 16) + text + bytes(-len(text) % 16) + \
        struct.pack("<QQ", len(more), len(text))
    if poly1305(block(sub, 0, nonce)[:32], said) != tag:
        return None
    return b"".join(
        bytes(a ^ b for a, b in zip(text[i:i + 64],
                                    block(sub, 1 + i // 64, nonce)))
        for i in range(0, len(text), 64))


def read_key(path):
    word, version, text = path.read_text().split()
    assert (word, version) == ("noroshi-archive-key", "1")
    key = base64.b64decode(text)
    assert len(key) == 32
    return key


def subkey(key, context):
    return hashlib.blake2b(context, key=key, digest_size=32).digest()


def key_name(key):
    return subkey(key, b"noroshi archive key id")[:8]


def plain(key, octets):
    """The file's octets; asserts that every page opens."""
    assert octets[:8] == b"\x89NRSEAL\n" and octets[16:24] == key_name(key)
    assert struct.unpack("<I", octets[12:16]) == (1,)
    assert octets[24:40] == octets[40:56]
    own = subkey(key, b"noroshi archive\n" + octets[24:40])
    out, body = [], octets[HEADER:]
    pages = -(-len(body) // (PAGE + TAG))
    for i in range(pages):
        page = body[i * (PAGE + TAG):(i + 1) * (PAGE + TAG)]
        nonce = struct.pack("<QB15x", i, i + 1 == pages)
        out.append(unseal(own, nonce, page[:-TAG], page[-TAG:]))
        assert out[-1] is not None, i
    return b"".join(out)
