"""fuzz_cases, garble: test_fuzz. damage, left, watch: test_trial. kills, crowd: trials of minutes, `make reliability`."""
