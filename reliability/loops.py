"""Loops of reliability."""

from typing import Final

from core.loops import Loop
from reliability.services import slo_loop, sweeping
from reliability.services.probes import LEASE, LEASE_SECONDS, ProbeLoop, stand_in

LOOPS: Final = (
    Loop(
        name=LEASE,
        period_seconds=1,
        lease_seconds=LEASE_SECONDS,
        start=ProbeLoop,
        stand_in=stand_in,
        why="Probes every check on its beat and stores the results each second.",
    ),
    Loop(
        name=slo_loop.LEASE,
        period_seconds=slo_loop.PERIOD_SECONDS,
        lease_seconds=slo_loop.LEASE_SECONDS,
        start=slo_loop.BurnLoop,
        why="Notices within seconds that an error budget burns fast.",
    ),
    Loop(
        name=sweeping.LEASE,
        period_seconds=5,
        lease_seconds=sweeping.LEASE_SECONDS,
        start=sweeping.SweepLoop,
        stand_in=sweeping.stand_in,
        why="Finds late heartbeats, maintenance that begins or ends, and alerts to let go.",
    ),
)
