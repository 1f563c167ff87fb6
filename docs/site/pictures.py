"""Take the pictures of README and docs from the running demo: ``python docs/site/pictures.py FOLDER``.

They need Chromium, and the partitions that ``make demo`` has published.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tidemill.local import stack

HOME = Path(__file__).parents[2] / ".tidemill"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
WIDTH, HEIGHT = 1400, 1000
LIMIT_MS = 60_000


def main(folder: Path) -> None:
    """Write ``console.png`` and ``monitoring.png``."""
    with sync_playwright() as browsers:
        chromium = browsers.chromium.launch(executable_path=shutil.which("chromium"), args=OPTIONS)
        page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_default_timeout(LIMIT_MS)
        airflow = _log_in(page)
        page.goto(f"{airflow}/dags/flight_delays_predict/plugin/tidemill-model")
        model = page.frame_locator("iframe")
        model.get_by_text("Is my model fine?").wait_for()
        page.screenshot(path=folder / "console.png")
        monitoring = model.get_by_role("link", name="monitoring").first.get_attribute("href")
        page.goto(f"{airflow}/tidemill/flight_delays/{monitoring}")
        page.get_by_role("heading", name="Realised quality").wait_for()
        page.screenshot(path=folder / "monitoring.png")
        chromium.close()


def _log_in(page: Page) -> str:
    """Return the address of the Airflow that the page is logged in to."""
    airflow = next(item.url for item in stack.status(HOME) if item.component == "api-server")
    user, password = stack.login(HOME)
    page.goto(airflow)
    page.fill("input[name=username]", user)
    page.fill("input[type=password]", password)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Dags", exact=True).first.wait_for()
    return airflow


if __name__ == "__main__":
    main(Path(sys.argv[1]))
