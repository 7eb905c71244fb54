"""Reports as one page that opens anywhere, or their figure as a picture."""

from bench.page.write import write_page

__all__ = ["write_page"]
