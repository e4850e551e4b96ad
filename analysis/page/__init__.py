"""`report.html`: figures, tables, training curves and samples in one file that opens from disk, without a network.

`page.html` is the static part, rendered with autoescape. Curves and samples are JSON in the page (data.py), which the
files in script/ draw with `textContent` alone. A content security policy allows no script but that one, so text of a
model never becomes markup.
"""
