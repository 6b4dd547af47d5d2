"""Secret files: made once, refused when exposed."""

import json
import multiprocessing
import stat

import pytest

from core.keyring import Keyring, KeyringError


@pytest.fixture
def ring(tmp_path):
    return Keyring(tmp_path / "secrets" / "runtime")


def _ensure(folder, answers):
    answers.put(Keyring(folder).ensure("SECRET_KEY"))


def test_a_secret_is_made_once_and_stays(ring):
    first = ring.ensure("SECRET_KEY")
    assert len(first) == 64
    assert Keyring(ring.folder).ensure("SECRET_KEY") == first


def test_processes_that_start_at_once_agree(ring):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    processes = [context.Process(target=_ensure, args=(ring.folder, answers)) for _ in range(4)]
    for process in processes:
        process.start()
    values = {answers.get(timeout=30) for _ in processes}
    for process in processes:
        process.join()
    assert len(values) == 1


def test_files_are_private(ring):
    ring.ensure("SECRET_KEY")
    assert stat.S_IMODE(ring.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((ring.folder / "SECRET_KEY.json").stat().st_mode) == 0o600


def test_a_file_open_to_others_is_refused_without_telling_it(ring):
    value = ring.ensure("SECRET_KEY")
    (ring.folder / "SECRET_KEY.json").chmod(0o644)
    with pytest.raises(KeyringError) as refused:
        Keyring(ring.folder).current("SECRET_KEY")
    assert "chmod 600" in str(refused.value)
    assert value not in str(refused.value)


def test_a_symbolic_link_is_refused(ring, tmp_path):
    ring.ensure("SECRET_KEY")
    (ring.folder / "SECRET_KEY.json").rename(tmp_path / "elsewhere")
    (ring.folder / "SECRET_KEY.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyringError, match="symbolic link"):
        Keyring(ring.folder).current("SECRET_KEY")


@pytest.mark.parametrize("name", ["../SECRET", "secret", "", "A/B", "A" * 65])
def test_a_name_that_is_no_name_is_refused(ring, name):
    with pytest.raises(KeyringError):
        ring.ensure(name)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"versions": 3}', '{"versions": []}'])
def test_a_damaged_file_is_refused(ring, content):
    ring.ensure("SECRET_KEY")
    (ring.folder / "SECRET_KEY.json").write_text(content)
    with pytest.raises(KeyringError):
        Keyring(ring.folder).current("SECRET_KEY")


def test_previous_values_stay_valid_and_retired_ones_do_not(ring):
    current = ring.ensure("SECRET_KEY")
    path = ring.folder / "SECRET_KEY.json"
    document = json.loads(path.read_text())
    document["versions"] = [
        {"v": 1, "state": "retired", "created": "", "value": "old"},
        {"v": 2, "state": "previous", "created": "", "value": "before"},
        *document["versions"],
    ]
    path.write_text(json.dumps(document))
    assert Keyring(ring.folder).all_valid("SECRET_KEY") == [current, "before"]


def test_a_full_disk_keeps_the_old_file(ring, monkeypatch):
    ring.ensure("SECRET_KEY")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.keyring.os.fsync", full)
    with pytest.raises(KeyringError, match="No space left"):
        ring.ensure("OTHER_KEY")
    assert sorted(path.name for path in ring.folder.iterdir()) == [".lock", "SECRET_KEY.json"]
