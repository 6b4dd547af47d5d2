"""The names under which the keyring holds the keys of the audit log."""

from typing import Final

MAC_KEY: Final = "AUDIT_MAC_KEY"
SIGNING_KEY: Final = "AUDIT_SIGNING_KEY"
