"""Fitting a reward model to preferences: `src.reward`, and `oracle=proxy` of `src.train`.

config                                what the command says, read before torch is loaded
preferences, run_pairs, collect       pairs of responses, one preferred: of runs, of the data, or sampled here
make, fit_and_judge, fit              the work, and the training in it
proxy                                 the model that a run with oracle=proxy fits for itself
held_out, calibration, show           how far the model can be trusted
"""
