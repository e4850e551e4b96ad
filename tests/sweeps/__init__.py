"""launcher.stop: test_run, where a sweep is told to stop; the yaml files: test_files."""
