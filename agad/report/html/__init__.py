"""The report as one HTML file, which needs no network, and of what it shows no JavaScript."""

from agad.report.html.page import Section, html_page

__all__ = ["Section", "html_page"]
