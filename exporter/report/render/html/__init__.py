"""The report as one HTML file."""

from exporter.report.render.html.page import render as render
