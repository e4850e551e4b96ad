"""Whose log-probabilities stand in the loss where DPO has pi_ref, one file each."""
