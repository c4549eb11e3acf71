"""How Sphinx makes the site: ``./cantiere test docs`` builds it in ``.cache/site``."""

project = "cantiere"
author = "the cantiere authors"
project_copyright = author
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3
html_theme = "furo"
html_title = "cantiere"
html_show_sphinx = False
html_show_copyright = False
