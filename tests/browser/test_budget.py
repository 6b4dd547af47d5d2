"""What the home page costs a browser that has never seen it, over the wire."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

KILOBYTE = 1_000


@pytest.fixture
def loaded(browse):
    """Return the sizes by path of all that the home page loads."""
    page = browse()
    finished = []
    page.on("requestfinished", lambda request: finished.append(request))  # noqa: PLW0108  # marked by playwright
    page.goto("/admin/")
    expect(page.locator("html")).to_have_attribute("data-live", "live")
    page.wait_for_load_state("networkidle")
    return {urlsplit(request.url).path: request.sizes() for request in finished}


def _own(loaded, ending):
    """Return the bytes of the project's own files."""
    return sum(
        sizes["responseBodySize"]
        for path, sizes in loaded.items()
        if path.endswith(ending) and path.startswith("/static/") and "/vendor/" not in path
    )


def test_home_is_small(loaded):
    transferred = sum(
        sizes["responseBodySize"] + sizes["responseHeadersSize"] for sizes in loaded.values()
    )

    assert transferred <= 100 * KILOBYTE, loaded
    assert len(loaded) <= 12, loaded
    assert _own(loaded, ".css") <= 20 * KILOBYTE, loaded
    assert _own(loaded, ".js") <= 15 * KILOBYTE, loaded
