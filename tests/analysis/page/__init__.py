"""contents: all of these tests; script/: in_browser/."""
