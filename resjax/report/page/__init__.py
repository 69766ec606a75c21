"""The report as one HTML page that needs nothing but a browser: data, figures, styles and Vega itself are inside."""

from resjax.report.page.content import Content
from resjax.report.page.document import page

__all__ = ["Content", "page"]
