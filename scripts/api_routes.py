"""Write docs/api-routes.md from what the routes declare."""

from pathlib import Path

from daypass.api.route_table import route_table

if __name__ == "__main__":
    path = Path(__file__).parents[1] / "docs/api-routes.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(route_table(), encoding="utf-8")
