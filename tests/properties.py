"""Settings of the property tests."""

from hypothesis import settings

# No deadline, because machines are shared; the same examples every time, because a test that fails must fail again.
quick = settings(max_examples=50, deadline=None, derandomize=True, database=None)
