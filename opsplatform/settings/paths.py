"""Where the platform keeps its data, and the keyring that lies there."""

from pathlib import Path
from typing import Final

from core.keyring import Keyring
from opsplatform.env import ENV

BASE_DIR: Final = Path(__file__).resolve().parent.parent.parent

ENV.section("Data")
OPS_DATA_DIR = ENV.path(
    "OPS_DATA_DIR",
    default="var",
    base=BASE_DIR,
    about="Folder of everything the platform keeps: database, queue, logs, secrets. "
    "Relative data paths below are taken from it.",
)
OPS_KEYRING_DIR = ENV.path(
    "OPS_KEYRING_DIR",
    default="secrets/runtime",
    base=OPS_DATA_DIR,
    about="The platform's own secrets. Machines that share a database share them, or a copy.",
)
KEYRING = Keyring(OPS_KEYRING_DIR)
STATIC_ROOT = BASE_DIR / "static-root"
