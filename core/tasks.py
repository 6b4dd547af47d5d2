"""Tasks of the foundation."""

import asyncio

from celery import shared_task

from core import loops


@shared_task(name="core.run_loop_slice")
def run_loop_slice(*, loop: str) -> bool:
    """Stand in for the daemon: run one slice, if nobody holds the loop's lease."""
    return asyncio.run(loops.run_once(loops.all_loops()[loop]))
