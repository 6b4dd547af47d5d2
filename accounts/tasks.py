"""Tasks of access."""

from celery import shared_task

from accounts.services import (
    access_reviews,
    api_keys,
    challenges,
    default_passwords,
    lockout,
    sessions,
)
from core.actors import Actor


@shared_task(name="accounts.clear_sessions")
def clear_sessions() -> None:
    """Delete expired console sessions, and attempts and challenges that say nothing any more."""
    sessions.clear_expired()
    lockout.clear_old()
    challenges.clear_old()


@shared_task(name="accounts.tend_api_keys")
def tend_api_keys() -> None:
    """Warn of API keys that are about to end, and revoke unused ones."""
    actor = Actor.schedule("API keys")
    api_keys.warn_expiring(actor=actor)
    api_keys.revoke_unused(actor=actor)


@shared_task(name="accounts.judge_passwords")
def judge_passwords() -> None:
    """Find people of the console whose password everybody knows."""
    default_passwords.judge_changed(actor=Actor.schedule("Default passwords"))


@shared_task(name="accounts.tend_access_reviews")
def tend_access_reviews() -> None:
    """Open the review of this quarter, or remind of those that are open."""
    actor = Actor.schedule("Access reviews")
    if access_reviews.open_for_now(actor=actor) is None:
        access_reviews.remind()
