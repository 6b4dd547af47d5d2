"""Passkeys against an authenticator in software: registration, proof, and every lie."""

import pytest

from accounts import signals
from accounts.actors import actor_for
from accounts.engine import webauthn
from accounts.models import LoginChallenge, Passkey
from accounts.services import login, passkeys
from accounts.services.login import ChallengeNeeded
from accounts.services.mfa import CodeRefusedError
from audit.models import AuditRecord
from core.errors import InvalidInputError, InvalidTransitionError, NotSignedInError
from tests.accounts.factors import ORIGIN, PASSWORD, RP, with_passkey
from tests.support.authenticator import Authenticator, b64

EVIL = "https://localhost.example.org"


@pytest.fixture
def ann(make_user):
    return make_user(username="ann")


def register(user, authenticator, **lies):
    token, options = passkeys.begin(user=user, session=None, rp=RP)
    response = authenticator.register(options, **{"origin": ORIGIN, **lies})
    return passkeys.finish(
        actor=actor_for(user), user=user, session=None, rp=RP, token=token, response=response
    )


def first_step(user):
    asked = login.attempt(username=user.username, password=PASSWORD, place="login", rp=RP)
    assert isinstance(asked, ChallengeNeeded)
    return asked


def prove(asked, response):
    return login.second_step(token=asked.token, rp=RP, place="login", response=response)


def test_a_passkey_is_registered_and_is_a_second_factor(ann):
    authenticator = Authenticator()
    register(ann, authenticator)
    asked = first_step(ann)
    assert asked.methods == ("passkey",)

    found = prove(asked, authenticator.prove(asked.passkey, origin=ORIGIN))

    assert (found.user, found.methods) == (ann, ("pwd", "hwk", "mfa"))
    assert Passkey.objects.get().sign_count == 1
    assert AuditRecord.objects.filter(action="passkey.added").count() == 1


def test_without_user_verification_a_passkey_is_a_second_factor_still(ann):
    authenticator = with_passkey(ann, authenticator=Authenticator(verifies=False))
    asked = first_step(ann)

    assert prove(asked, authenticator.prove(asked.passkey, origin=ORIGIN)).user == ann


@pytest.mark.parametrize(
    "lies",
    [{"origin": EVIL}, {"origin": "http://localhost:9999"}, {"challenge": b64(bytes(32))}],
)
def test_a_registration_from_elsewhere_or_for_another_challenge_is_refused(ann, lies):
    with pytest.raises(InvalidInputError):
        register(ann, Authenticator(), **lies)

    assert Passkey.objects.count() == 0


def test_a_registration_is_answered_once(ann):
    authenticator = Authenticator()
    token, options = passkeys.begin(user=ann, session=None, rp=RP)
    given = {"actor": actor_for(ann), "user": ann, "session": None, "rp": RP, "token": token}
    passkeys.finish(**given, response=authenticator.register(options, origin=ORIGIN))

    with pytest.raises(InvalidTransitionError):
        passkeys.finish(**given, response=Authenticator().register(options, origin=ORIGIN))

    assert Passkey.objects.count() == 1


def test_a_credential_belongs_to_one_person(ann, make_user):
    authenticator = Authenticator()
    register(ann, authenticator)

    with pytest.raises(InvalidInputError, match="known already"):
        register(make_user(username="bob"), authenticator)

    assert [passkey.user for passkey in Passkey.objects.all()] == [ann]


@pytest.mark.parametrize(
    "lies",
    [
        {"origin": EVIL},
        {"origin": "http://localhost:9999"},
        {"challenge": b64(bytes(32))},
        {"rp_id": "example.org"},
    ],
)
def test_a_proof_for_another_origin_challenge_or_host_is_refused(ann, lies):
    authenticator = with_passkey(ann)
    asked = first_step(ann)

    with pytest.raises(CodeRefusedError):
        prove(asked, authenticator.prove(asked.passkey, **{"origin": ORIGIN, **lies}))

    assert Passkey.objects.get().sign_count == 0


def test_a_challenge_is_used_up_by_its_first_answer(ann):
    authenticator = with_passkey(ann)
    asked = first_step(ann)
    answer = authenticator.prove(asked.passkey, origin=ORIGIN)
    prove(asked, answer)

    with pytest.raises(NotSignedInError):
        prove(asked, answer)
    later = first_step(ann)
    with pytest.raises(CodeRefusedError):
        prove(later, answer)


def test_a_falling_counter_is_refused_and_told(ann, django_capture_on_commit_callbacks):
    told = []

    def hear(name, **_):
        told.append(name)

    signals.passkey_cloned.connect(hear)
    authenticator = with_passkey(ann)
    asked = first_step(ann)
    prove(asked, authenticator.prove(asked.passkey, origin=ORIGIN, counter=10))

    for counter in (10, 9, 0):
        asked = first_step(ann)
        answer = authenticator.prove(asked.passkey, origin=ORIGIN, counter=counter)
        with (
            django_capture_on_commit_callbacks(execute=True),
            pytest.raises(CodeRefusedError),
        ):
            prove(asked, answer)

    assert told == ["ann", "ann", "ann"]
    assert Passkey.objects.get().sign_count == 10
    assert AuditRecord.objects.filter(action="passkey.refused").exists()


def test_an_authenticator_that_never_counts_is_accepted(ann):
    authenticator = with_passkey(ann, authenticator=Authenticator(counts=False))

    for _ in range(2):
        asked = first_step(ann)
        assert prove(asked, authenticator.prove(asked.passkey, origin=ORIGIN)).user == ann


def test_a_passkey_of_another_person_proves_nothing(ann, make_user):
    with_passkey(ann)
    theirs = with_passkey(make_user(username="bob"))
    asked = first_step(ann)

    with pytest.raises(CodeRefusedError):
        prove(asked, theirs.prove(asked.passkey, origin=ORIGIN))


def test_a_passkey_alone_signs_in_when_it_has_verified_its_user(ann):
    authenticator = with_passkey(ann)
    token, options = login.begin_by_passkey(rp=RP, place="login")
    assert options["publicKey"]["userVerification"] == "required"

    found = login.by_passkey(
        token=token,
        response=authenticator.prove(options, origin=ORIGIN),
        rp=RP,
        place="login",
    )

    assert (found.user, found.methods) == (ann, ("hwk", "user", "mfa"))
    assert found.mfa_at is not None


def test_a_passkey_alone_without_verification_or_of_a_disabled_person_does_not(ann):
    authenticator = with_passkey(ann, authenticator=Authenticator(verifies=False))
    honest = with_passkey(ann)
    type(ann).objects.update(is_active=False)

    for held in (authenticator, honest, Authenticator()):
        token, options = login.begin_by_passkey(rp=RP, place="login")
        with pytest.raises(NotSignedInError) as refused:
            login.by_passkey(
                token=token,
                response=held.prove(options, origin=ORIGIN),
                rp=RP,
                place="login",
            )
        assert refused.value.message == "That passkey is not known here, or was not accepted."


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8000", "http://ops.example.org"])
def test_a_host_that_cannot_have_passkeys_says_what_to_do(ann, origin):
    with pytest.raises(InvalidInputError, match="by its name"):
        passkeys.begin(user=ann, session=None, rp=webauthn.party(origin))

    assert LoginChallenge.objects.count() == 0


@pytest.mark.parametrize(
    "response",
    [
        {},
        {"id": 1},
        {"id": "YQ", "rawId": "YQ", "response": []},
        {"rawId": "\N{BELL}", "response": {}},
    ],
)
def test_answers_that_are_made_up_prove_nothing(ann, response):
    with_passkey(ann)
    asked = first_step(ann)

    with pytest.raises(CodeRefusedError):
        prove(asked, response)
