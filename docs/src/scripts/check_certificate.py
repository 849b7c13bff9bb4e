#!/usr/bin/env python3
"""Checks a certificate of a unit, with nothing but Python.

    python3 check_certificate.py CERTIFICATE PUBLIC_KEY

CERTIFICATE is the file that came with the unit, PUBLIC_KEY the station's key (`BEGIN PUBLIC KEY`), which you got once
and on another way. Exit code 0: it was signed with that key and nothing in it was changed since. 1: it does not hold.

The last line of a certificate is its seal; the signature (ECDSA on P-256 with SHA-256) is over every byte before it.
"""

import base64
import hashlib
import json
import sys

# The curve P-256 (FIPS 186-4, D.1.2.3): its field, coefficient, order and base point.
P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
A = P - 3
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)

# What a public key of P-256 begins with, before the 64 bytes of its point (RFC 5480).
KEY_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")


class Bad(Exception):
    """Why the certificate does not hold."""


def add(p, q):
    """The sum of two points; None is the point at infinity."""
    if p is None:
        return q
    if q is None:
        return p
    if p[0] == q[0]:
        if (p[1] + q[1]) % P == 0:
            return None
        slope = (3 * p[0] * p[0] + A) * pow(2 * p[1], -1, P)
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, P)
    x = (slope * slope - p[0] - q[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P


def multiply(number, point):
    """The point added to itself so many times."""
    total = None
    while number:
        if number & 1:
            total = add(total, point)
        point = add(point, point)
        number >>= 1
    return total


def verifies(key, message, signature):
    """True when the key (X, Y) signed the message; the signature is r and s, 32 bytes each."""
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    if not (0 < r < N and 0 < s < N):
        return False
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    inverse = pow(s, -1, N)
    point = add(multiply(digest * inverse % N, G), multiply(r * inverse % N, key))
    return point is not None and point[0] % N == r


def point_of(xy):
    """X and Y of a key, if they are a point of the curve."""
    if len(xy) != 64:
        raise Bad("the key is not of P-256")
    x, y = int.from_bytes(xy[:32], "big"), int.from_bytes(xy[32:], "big")
    if x >= P or y >= P or (y * y - (x * x * x + A * x + B)) % P:
        raise Bad("the key is no point of P-256")
    return x, y


def read_key(path):
    """The 64 bytes of the key in a PEM file."""
    with open(path, encoding="ascii") as file:
        lines = [line.strip() for line in file if line.strip()]
    if lines[:1] != ["-----BEGIN PUBLIC KEY-----"] or lines[-1] != "-----END PUBLIC KEY-----":
        raise Bad(f"{path} is no public key")
    der = base64.b64decode("".join(lines[1:-1]), validate=True)
    if not der.startswith(KEY_HEAD):
        raise Bad(f"{path} is no public key of P-256")
    return der[len(KEY_HEAD):]


def check_checkpoint(line, station, key):
    """The number and hash of the event at which the journal was fixed."""
    words = line.split(" ")
    if len(words) != 8 or words[:2] != ["lineside-checkpoint", "1"]:
        raise Bad("it holds no checkpoint that this script knows")
    if words[2] != station or bytes.fromhex(words[6]) != key:
        raise Bad("its checkpoint is of another station")
    message = line.rsplit(" ", 1)[0].encode()
    if not verifies(point_of(key), message, bytes.fromhex(words[7])):
        raise Bad("the signature of its checkpoint does not hold")
    return words[3], words[4]


def check(path, key_path):
    """Reads and checks; says what was certified."""
    key = read_key(key_path)
    with open(path, "rb") as file:
        content = file.read().rstrip(b"\r\n")
    cut = content.rfind(b"\n") + 1
    text, line = content[:cut], content[cut:]
    seal = json.loads(line)
    if seal.get("seal") != "lineside 1":
        raise Bad("it carries no seal that this script knows")
    if bytes.fromhex(seal["key"]) != key:
        raise Bad("it was signed with another key")
    if not verifies(point_of(key), text, bytes.fromhex(seal["signature"])):
        raise Bad("its signature does not hold: it was changed after it was signed")
    found = json.loads(text)
    if found.get("kind") != "unit-certificate" or found.get("version") != 1:
        raise Bad("it is signed, and is no certificate that this script knows")
    if found.get("outcome") not in ("pass", "marginal"):
        raise Bad("it does not say that the unit passed")
    sequence, event_hash = check_checkpoint(found["checkpoint"], found["station"], key)
    print("the certificate holds")
    for name in ("serial", "device", "product", "state", "outcome", "started", "ended", "station", "run", "plan", "bundle"):
        if name in found:  # Not every plan came from a bundle.
            print(f"  {name:9} {found[name]}")
    print(f"  journal   fixed at event {sequence}, hash {event_hash}")


def main():
    """The command."""
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    try:
        check(sys.argv[1], sys.argv[2])
    except (Bad, OSError, KeyError, ValueError, TypeError) as error:
        print(f"the certificate does not hold: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
