"""garble, fuzz_cases: test_fuzz; damage, left, watch: test_trial; kills, crowd: `make reliability`, minutes each."""
