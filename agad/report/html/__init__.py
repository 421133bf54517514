"""The report as one HTML file. It loads nothing; only its figures need JavaScript."""

from agad.report.html.page import Section, html_page
