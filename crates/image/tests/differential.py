"""Lets the vendor's own parser answer: one JSON question a line in, one JSON answer a line out.

Every question has its own time limit, because hostile counts keep that parser busy for minutes.
"""

import hashlib
import json
import signal
import sys
from types import SimpleNamespace

from azuresphere_imagemetadata.guid_utils import Guid
from azuresphere_imagemetadata.image import Image
from azuresphere_imagemetadata.image_manifest import ImageManifest
from azuresphere_imagemetadata.metadata_sections.abi import ABIDependsSection, ABIIdentity, ABIProvidesSection
from azuresphere_imagemetadata.metadata_sections.debug import DebugSection
from azuresphere_imagemetadata.metadata_sections.identity import IdentitySection
from azuresphere_imagemetadata.metadata_sections.internal.capabilities import CapabilitiesSection
from azuresphere_imagemetadata.metadata_sections.temporary_image import TempImageMetadataSection
from azuresphere_imagemetadata.signing.app_development import AppDevelopmentSigner
from azuresphere_imagemetadata.signing.der_encoded import DEREncodedSignature
from azuresphere_imagemetadata.signing.signer import Signer, SigningMap
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

SECONDS_PER_QUESTION = 2


class TimeUp(Exception):
    pass


def time_up(_signal, _frame):
    raise TimeUp("time up")


def signer_of(xy):
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(xy[:32], "big"), int.from_bytes(xy[32:], "big"), ec.SECP256R1()
    )
    key = numbers.public_key()
    certificate = SimpleNamespace(public_key=lambda: key)
    return Signer(SigningMap(ecdsa_256=SimpleNamespace(cert=SimpleNamespace(certificate=certificate))))


def guid(raw):
    return str(Guid(bytes(raw))).lower()


def fields(section):
    name = type(section).__name__
    if name == "IdentitySection":
        return [section.image_type, str(section.component_uid).lower(), str(section.image_uid).lower()]
    if name == "SignatureSection":
        return [section.signing_cert_thumbprint.hex(), section.signing_type.signing_type]
    if name == "DebugSection":
        # It strips NULs at both ends of the name; a name ends at the first one.
        return [section.image_name_raw.split(b"\0")[0].decode(), section.debug_time]
    if name == "TempImageMetadataSection":
        return [section.flags.flags]
    if name in ("ABIDependsSection", "ABIProvidesSection"):
        return [[abi.version, abi.type] for abi in section.versions]
    return section.raw_data.hex()


def parse(question):
    image = Image(bytes.fromhex(question["file"]))
    sections = image.metadata.sections
    headers = image.metadata.section_headers
    signers = [signer_of(bytes.fromhex(key)) for key in question.get("keys", [])]
    return {
        "body": hashlib.sha256(image.data).hexdigest(),
        "metadata": image.metadata.raw_data.hex(),
        "signature": bytes(image.signature).hex(),
        "sections": [[h.section_id, fields(s)] for h, s in zip(headers, sections, strict=True)],
        "again": image.metadata.serialize() == image.metadata.raw_data,
        "sdk": image.has_valid_signature(),
        "by": [image.has_valid_signature([signer]) for signer in signers],
    }


def compose(question):
    image = Image()
    image.data = bytes.fromhex(question["body"])
    identity = IdentitySection()
    identity.image_type = question["type"]
    identity.component_uid = question["component"]
    identity.image_uid = question["image"]
    debug = DebugSection()
    debug.debug_time = question["built"]
    debug.image_name_raw = question["name"].encode().ljust(32, b"\0")
    temporary = TempImageMetadataSection()
    temporary.flags.flags = question["flags"]
    depends, provides = ABIDependsSection(), ABIProvidesSection()
    for section, pairs in ((depends, question["depends"]), (provides, question["provides"])):
        for version, kind in pairs:
            section.versions.append(ABIIdentity(version.to_bytes(4, "little") + kind.to_bytes(4, "little")))
    for section in (identity, debug, temporary, depends, provides):
        image.metadata.add_section(section)
    return {"file": image.serialize(fixed_size=question["fixed"]).hex()}


def sign(question):
    data = bytes.fromhex(question["data"])
    return {"file": (data + DEREncodedSignature.to_stored_signature(AppDevelopmentSigner().sign_data(data))).hex()}


def manifest(question):
    read = ImageManifest(bytes.fromhex(question["body"]))
    return {
        "built": read.header.build_date,
        "entries": [
            [
                guid(e.image_uid_raw),
                guid(e.component_uid_raw),
                e.image_type,
                e.partition_type,
                e.image_file_size,
                e.uncompressed_image_size,
                [[abi.version, abi.type] for abi in e.provides if (abi.version, abi.type) != (0, 0)],
                [[abi.version, abi.type] for abi in e.depends if (abi.version, abi.type) != (0, 0)],
            ]
            for e in read.entries
        ],
    }


def capability(question):
    read = CapabilitiesSection(bytes.fromhex(question["body"]))
    device = read.device_id if isinstance(read.device_id, str) else bytes(read.device_id).hex()
    return {"device": device.lower(), "capabilities": list(read.capabilities)}


def certificates(_question):
    signing = AppDevelopmentSigner().signing_map
    der = [signing.ecdsa_256.cert.certificate, signing.ctp]
    return {"certificates": [c.public_bytes(serialization.Encoding.DER).hex() for c in der]}


QUESTIONS = {
    "parse": parse,
    "compose": compose,
    "sign": sign,
    "manifest": manifest,
    "capability": capability,
    "certificates": certificates,
}

signal.signal(signal.SIGALRM, time_up)
for line in sys.stdin:
    question = json.loads(line)
    signal.setitimer(signal.ITIMER_REAL, SECONDS_PER_QUESTION)
    try:
        answer = QUESTIONS[question["ask"]](question)
    except Exception as error:  # noqa: BLE001 - it raises whatever it happens to stumble over
        answer = {"error": type(error).__name__, "text": str(error)[:200]}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    print(json.dumps(answer), flush=True)
