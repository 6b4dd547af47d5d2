import logging

import uvloop

from core.runner import tell_defect

CLOSED = "unable to perform operation on <TCPTransport closed=True>; the handler is closed"


def told(caplog, message, error):
    loop = uvloop.new_event_loop()
    try:
        with caplog.at_level(logging.ERROR, logger="asyncio"):
            tell_defect(loop, {"message": message, "exception": error})
    finally:
        loop.close()
    return len(caplog.records)


def test_a_tls_connection_closed_under_uvloop_is_no_news(caplog):
    assert told(caplog, "Fatal error on SSL protocol", RuntimeError(CLOSED)) == 0


def test_every_other_defect_is_told(caplog):
    assert told(caplog, "Fatal error on SSL protocol", RuntimeError("out of order")) == 1
    assert told(caplog, "Task exception was never retrieved", RuntimeError(CLOSED)) == 2
