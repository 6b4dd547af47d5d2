"""Signing in with a second factor, in a real browser with an authenticator of its own."""

import re
import time
from urllib.parse import urlsplit

import pytest

from accounts.engine import totp as codes
from tests.browser.conftest import PASSWORD
from tests.support.browser import PHONE, audit, choose_password, layout, shoot, sign_in
from tests.support.platform import Platform

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Return a platform of its own: what is enrolled here disturbs no other test."""
    folder = tmp_path_factory.mktemp("access") / "data"
    with Platform(folder, OPS_RATE_LIMIT="1000000", OPS_LOGIN_RATE_LIMIT="1000") as running:
        # Passkeys belong to a name: an address has none.
        running.url = f"http://localhost:{urlsplit(running.url).port}"
        yield running


@pytest.fixture(scope="module")
def people(house):
    """Return a function that makes a person with a password of their own."""
    made = iter(range(100))

    def make(*, role="operator", required=False):
        name = f"person{next(made)}"
        house.manage(
            "shell",
            "-c",
            "from audit.services.acts import unwatched\n"
            "from accounts.models import User, RolePolicy\n"
            "from django.contrib.auth.models import Group\n"
            "with unwatched('a test'):\n"
            f"    user = User.objects.create_user('{name}', '{PASSWORD}', is_staff=True)\n"
            f"    group = Group.objects.get(name='{role}')\n"
            "    user.groups.add(group)\n"
            f"    if {required}:\n"
            "        RolePolicy.objects.update_or_create(group=group, "
            "defaults={'mfa_required': True})\n",
        )
        return name

    return make


@pytest.fixture
def open_page(browse, house):
    """Return a function that opens a page of this platform."""

    def open_page(**options):
        return browse(signed_in=False, url=house.url, **options)

    return open_page


def with_authenticator(page):
    """Give the page's browser an authenticator that verifies its user."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )


def first_step(page, name):
    """Give name and password, which lead to the second step."""
    page.goto("/admin/login/?next=/admin/")
    page.locator("[name=username]").fill(name)
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[name=password]").press("Enter")
    page.wait_for_url("**/second-step/**")


def sign_out(page):
    page.locator("#user-menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(lambda url: "logout" in url)


def add_app(page):
    """Add an app as a person does; return its seed."""
    import base64

    page.get_by_role("button", name="Add an authenticator app").click()
    page.get_by_text("The picture cannot be scanned").click()
    text = page.locator(".enrol .code code").inner_text()
    seed = base64.b32decode(text.replace(" ", ""))
    page.get_by_label("Code that the app shows").fill(codes.code(seed, codes.step_of(time.time())))
    page.get_by_label("Name").fill("Phone")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("heading", name="Your recovery codes").wait_for()
    return seed


def age_proofs(house):
    """Let the last proof of everybody be six minutes old."""
    house.manage(
        "shell",
        "-c",
        "from datetime import timedelta\n"
        "from django.utils import timezone\n"
        "from accounts.models import UserSession\n"
        "from audit.services.acts import unwatched\n"
        "past = timezone.now() - timedelta(minutes=6)\n"
        "with unwatched('a test'):\n"
        "    UserSession.objects.update(created_at=past, reauth_at=None)\n",
    )


def judged(page, name):
    """Keep a picture; return what is wrong with the page."""
    shoot(page, f"access-{name}")
    return audit(page) + layout(page)


def test_the_first_admin_changes_the_password(open_page, house):
    page = open_page()
    sign_in(page, "admin", house.password)
    assert page.url.endswith("/account/password/")
    assert judged(page, "password-forced") == []
    choose_password(page, house.password, PASSWORD)
    assert urlsplit(page.url).path == "/admin/"


def test_an_app_is_enrolled_and_asked_for(open_page, people):
    name = people()
    page = open_page()
    sign_in(page, name, PASSWORD)
    page.goto("/account/mfa/")
    assert judged(page, "mfa-none") == []
    seed = add_app(page)
    assert judged(page, "recovery-codes") == []
    found = re.findall(r"[a-z2-7]{4}(?:-[a-z2-7]{4}){3}", page.locator(".recovery").inner_text())
    assert len(found) == 10
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert found[0] in download.value.path().read_text()
    assert page.get_by_text("The authenticator app Phone was added.").is_visible()
    page.get_by_role("link", name="I have kept them").click()
    page.wait_for_url("**/account/mfa/")
    assert judged(page, "mfa-app") == []
    sign_out(page)

    first_step(page, name)
    assert judged(page, "second-step") == []
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Continue").click()
    page.get_by_text("That code did not work").wait_for()
    page.get_by_label("Code").fill(codes.code(seed, codes.step_of(time.time()) + 1))
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/admin/")
    sign_out(page)

    first_step(page, name)
    page.get_by_label("Code").fill(found[0].upper())
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/admin/")


def test_a_passkey_is_made_and_signs_in_as_second_step_and_alone(open_page, people):
    name = people()
    page = open_page()
    with_authenticator(page)
    sign_in(page, name, PASSWORD)
    page.goto("/account/mfa/")
    page.get_by_role("button", name="Add a passkey").click()
    assert judged(page, "passkey-new") == []
    page.get_by_label("Name").fill("Laptop")
    page.get_by_role("button", name="Create the passkey").click()
    page.get_by_role("heading", name="Your recovery codes").wait_for()
    page.goto("/account/mfa/")
    assert page.get_by_text("Laptop").first.is_visible()
    sign_out(page)

    first_step(page, name)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/admin/")
    sign_out(page)

    page.goto("/admin/login/?next=/admin/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/admin/")
    assert page.locator("#user-menu summary").get_attribute("aria-label").startswith(name)


def test_a_passkey_that_is_not_there_is_told(open_page):
    page = open_page()
    page.goto("/admin/login/")
    with_authenticator(page)
    page.get_by_role("button", name="Sign in with a passkey").click()

    page.get_by_text("there is no passkey for this site").wait_for()
    assert page.get_by_role("button", name="Sign in with a passkey").is_enabled()


def test_a_role_that_asks_for_a_factor_leads_to_it(open_page, people):
    name = people(role="analyst", required=True)
    page = open_page()
    sign_in(page, name, PASSWORD)
    assert page.url.endswith("/account/mfa/")
    assert page.get_by_text("Your role asks for a second factor.").is_visible()
    assert page.locator("#sidebar").count() == 0
    assert judged(page, "mfa-required") == []
    page.goto("/admin/")
    assert page.url.endswith("/account/mfa/")

    add_app(page)
    page.get_by_role("link", name="I have kept them").click()

    page.wait_for_url("**/admin/")


def test_a_dangerous_act_asks_once_more_and_goes_on(open_page, people, house):
    """The console asks for the password, then for the code once there is one, and goes on."""
    name = people(role="admin")
    page = open_page()
    sign_in(page, name, PASSWORD)
    age_proofs(house)
    page.goto("/account/mfa/")
    page.get_by_role("button", name="Add an authenticator app").click()
    page.get_by_role("heading", name="Confirm that it is you").wait_for()
    assert judged(page, "step-up-password") == []

    page.get_by_label("Password").fill("wrong but long enough")
    page.get_by_role("button", name="Confirm", exact=True).click()
    page.get_by_text("That is not your password.").wait_for()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm", exact=True).click()
    page.wait_for_url("**/account/mfa/")
    seed = add_app(page)

    age_proofs(house)
    page.goto("/admin/accounts/user/add/")
    page.get_by_role("heading", name="Confirm that it is you").wait_for()
    assert page.get_by_label("Password").count() == 0
    assert judged(page, "step-up-code") == []
    page.get_by_role("link", name="Back without confirming").wait_for()
    page.get_by_label("Code").fill(codes.code(seed, codes.step_of(time.time()) + 1))
    page.get_by_role("button", name="Confirm", exact=True).click()
    page.wait_for_url("**/admin/accounts/user/add/")
    page.locator("[name=username]").fill(f"{name}-made")
    page.locator("[name=_save]").click()
    page.get_by_role("heading", name=f"Password of {name}-made").wait_for()

    # Within five minutes nothing is asked again.
    page.goto("/admin/accounts/user/add/")
    assert urlsplit(page.url).path == "/admin/accounts/user/add/"


def test_a_passkey_is_a_fresh_proof(open_page, people, house):
    page = open_page()
    with_authenticator(page)
    sign_in(page, people(role="admin"), PASSWORD)
    page.goto("/account/mfa/")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_role("button", name="Create the passkey").click()
    page.get_by_role("heading", name="Your recovery codes").wait_for()

    age_proofs(house)
    page.goto("/admin/accounts/user/add/")
    page.get_by_role("button", name="Use a passkey").click()

    page.wait_for_url("**/admin/accounts/user/add/")
    assert page.locator("[name=username]").is_visible()


def test_a_locked_person_is_told_when_to_try_again(open_page, people, house):
    name = people()
    page = open_page()
    for _ in range(6):
        page.goto("/admin/login/")
        page.locator("[name=username]").fill(name)
        page.locator("[name=password]").fill("wrong but long enough")
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.locator("#refused").wait_for()

    # The next tests come from the same address.
    clear = "from accounts.models import AttemptBucket; AttemptBucket.objects.all().delete()"
    house.manage("shell", "-c", clear)
    assert "Try again in 15 minutes" in page.locator("#refused").inner_text()
    assert judged(page, "locked") == []


@pytest.mark.parametrize(("width", "dark"), [(1440, True), (PHONE, False), (PHONE, True)])
def test_the_pages_are_good_in_every_light_and_width(open_page, people, width, dark):
    suffix = f"{width}-{'dark' if dark else 'light'}"
    page = open_page(width=width, dark=dark)
    page.goto("/admin/login/")
    faults = judged(page, f"sign-in-{suffix}")
    sign_in(page, people(), PASSWORD)
    for path, name in (
        ("/account/mfa/", "mfa"),
        ("/account/password/", "password"),
        ("/account/confirm/", "step-up"),
    ):
        page.goto(path)
        faults += judged(page, f"{name}-{suffix}")
    page.goto("/account/mfa/")
    page.get_by_role("button", name="Add an authenticator app").click()
    page.get_by_label("Code that the app shows").wait_for()
    faults += judged(page, f"app-{suffix}")
    assert faults == []
