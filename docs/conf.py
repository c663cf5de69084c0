"""How the documentation is built: strictly, with nothing loaded from elsewhere."""

project = "Roundelay"
author = "The Roundelay maintainers"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Roundelay"
exclude_patterns = ["_build"]
myst_heading_anchors = 3
