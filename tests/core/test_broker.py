"""The queue of files: nothing half-read, one taker, damage survived."""

import threading

import pytest
from kombu import Connection, Queue
from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES

from core import broker


@pytest.fixture
def connection(tmp_path):
    assert TRANSPORT_ALIASES[broker.ALIAS] == "core.broker:Transport"
    options = {"data_folder_in": str(tmp_path), "data_folder_out": str(tmp_path)}
    with Connection("opsfs://", transport_options=options) as opened:
        yield opened


def _send(connection, *bodies):
    with connection.Producer() as producer:
        for body in bodies:
            producer.publish(body, exchange="celery", routing_key="celery", serializer="json")


def _receive(connection):
    with connection.SimpleQueue(Queue("celery", exchange="celery", routing_key="celery")) as queue:
        try:
            message = queue.get_nowait()
        except queue.Empty:
            return None
        message.ack()
        return message.payload


def test_messages_arrive_in_order(connection):
    _send(connection, {"n": 1}, {"n": 2})
    assert [_receive(connection), _receive(connection), _receive(connection)] == [
        {"n": 1},
        {"n": 2},
        None,
    ]


def test_an_empty_file_is_discarded_and_the_next_message_arrives(connection, tmp_path, caplog):
    (tmp_path / "00000000000000000001_x.celery.msg").touch()
    _send(connection, {"n": 1})
    assert _receive(connection) == {"n": 1}
    assert "unreadable" in caplog.text


def test_a_half_written_message_is_not_seen(connection, tmp_path):
    (tmp_path / ".00000000000000000001_x.celery.msg.part").write_text('{"body"')
    assert _receive(connection) is None


def test_a_folder_that_is_gone_raises_and_leaves_nothing(connection, tmp_path):
    with connection.channel() as channel:
        channel.data_folder_out = str(tmp_path / "gone")
        with pytest.raises(ChannelError, match="cannot be written"):
            channel._put("celery", {"n": 1})
    assert list(tmp_path.iterdir()) == []


def test_each_message_has_one_taker(connection, tmp_path):
    _send(connection, *({"n": n} for n in range(200)))
    options = {"data_folder_in": str(tmp_path), "data_folder_out": str(tmp_path)}
    taken = []

    def take():
        with Connection("opsfs://", transport_options=options) as mine:
            while (payload := _receive(mine)) is not None:
                taken.append(payload["n"])

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == list(range(200))


def test_waiting_messages_are_counted_at_most_once_a_second(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("core.broker.time.monotonic", lambda: now[0])
    count = broker.WaitingCount(tmp_path, "celery")
    assert count() == 0
    (tmp_path / "1_x.celery.msg").touch()
    assert count() == 0
    now[0] += 1.0
    assert count() == 1
