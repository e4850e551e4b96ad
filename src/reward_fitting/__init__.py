"""Fitting a reward model to preferences: `src.reward`.

config                                what the command says, read before torch is loaded
preferences, run_pairs, collect       pairs of responses, one preferred: of runs, of the data, or sampled here
make, fit                             the work, and the training in it
held_out, calibration, show           how far the model can be trusted
"""
