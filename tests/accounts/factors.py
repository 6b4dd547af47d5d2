"""People with second factors, made by the services as a person makes them."""

import time

from accounts.actors import actor_for
from accounts.engine import totp as codes
from accounts.engine import webauthn
from accounts.services import mfa, passkeys, totp
from tests.support.authenticator import Authenticator

PASSWORD = "a good long password"
ORIGIN = "http://localhost:8000"
RP = webauthn.party(ORIGIN)


def code_of(seed, *, steps=0):
    """Return the code of now, or of some steps later."""
    return codes.code(seed, codes.step_of(time.time()) + steps)


def with_app(user, *, label="Phone"):
    """Give a person an app; return its seed. The present code is used up by it."""
    token, seed = totp.begin(user=user, session=None)
    totp.confirm(
        actor=actor_for(user),
        user=user,
        session=None,
        token=token,
        code=code_of(seed, steps=-1),
        label=label,
    )
    return seed


def with_codes(user):
    """Give a person with a factor recovery codes; return them."""
    return mfa.codes_after_first(actor=actor_for(user), user=user)


def with_passkey(user, *, rp=RP, authenticator=None):
    """Give a person a passkey; return the authenticator that holds it."""
    held = authenticator or Authenticator()
    token, options = passkeys.begin(user=user, session=None, rp=rp)
    passkeys.finish(
        actor=actor_for(user),
        user=user,
        session=None,
        rp=rp,
        token=token,
        response=held.register(options, origin=rp.origin),
    )
    return held
