"""Nothing fails `check --deploy` in a set-up behind TLS (S7)."""

import os
import subprocess
import sys

from tests.support.platform import ROOT


def _check(tmp_path, **variables):
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "OPS_DATA_DIR": str(tmp_path), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_set_up_behind_tls_has_no_warning(tmp_path):
    done = _check(
        tmp_path,
        BASE_URL="https://ops.example.org",
        OPS_TRUSTED_PROXIES="1",
        OPS_ENVIRONMENT="production",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_debug_in_production_is_an_error(tmp_path):
    done = _check(tmp_path, OPS_DEBUG="true", OPS_ENVIRONMENT="production")
    assert done.returncode == 1
    assert "core.E001" in done.stderr


def test_a_misspelt_variable_is_named(tmp_path):
    done = _check(tmp_path, OPS_PROT="9000")
    assert "OPS_PROT" in done.stderr
