"""A browser that watches a status page; runs inside the client.

Usage: browser.py URL TITLE NEXT. Prints a line as soon as the page has the title TITLE, and when it
has got the title NEXT without being loaded again, what it then says of the last failover, and what
the browser has complained about.
"""

import sys

from playwright.sync_api import expect, sync_playwright

WITHIN = 30_000
"""Milliseconds."""

url, title, later = sys.argv[1:]
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(
        executable_path="/usr/bin/chromium-headless-shell",
        args=["--no-sandbox", "--disable-dev-shm-usage"],
        env={"HOME": "/tmp"},
    )
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(url)
    expect(page).to_have_title(title, timeout=WITHIN)
    page.evaluate("window.same = true")
    print("ready", flush=True)
    expect(page).to_have_title(later, timeout=WITHIN)
    expect(page.locator("#answer .gap")).to_be_visible(timeout=WITHIN)
    assert page.evaluate("window.same"), "the page was loaded again"
    assert not complaints, complaints
    print(" ".join(page.locator(".facts").inner_text().split()), flush=True)
    browser.close()
