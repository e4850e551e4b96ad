"""What a person reads in a tab."""

from playwright.sync_api import Locator
from playwright.sync_api import Page as Tab


def texts(found: Locator) -> list[str]:
    return [text.strip() for text in found.all_inner_texts()]


def count(tab: Tab) -> str:
    return tab.locator("#sample-count").inner_text()


def responses(tab: Tab) -> list[str]:
    return texts(tab.locator("#sample .texts").nth(1).locator(".text"))
