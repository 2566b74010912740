"""Values: how what tasks take and give becomes text and rows of the file, and comes back.

`encode` and `decode` are inverse to each other; `canonical` and `fingerprint` say whether two values are the same.
"""

from __future__ import annotations

from workglow.values.blob import Blob, verify
from workglow.values.codec import Encoded, decode, encode
from workglow.values.fingerprint import canonical, fingerprint
from workglow.values.many import Columns, columns_of, encode_many
from workglow.values.registry import ValueTypes, value_types
from workglow.values.secret import Secret

__all__ = [
    "Blob",
    "Columns",
    "Encoded",
    "Secret",
    "ValueTypes",
    "canonical",
    "columns_of",
    "decode",
    "encode",
    "encode_many",
    "fingerprint",
    "value_types",
    "verify",
]
