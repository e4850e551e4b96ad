"""What is done with finished runs and saved policies: `src.evaluate`, `src.sample`, `src.verify` and `src.sft`.

saved_policy, base_model, load_policy   a policy on disk, its base model, its weights in memory
evaluate_request, sample_request        what a command asks for, read before torch is loaded
head_to_head, result_row, left_out      one system against another, before a judge
ask, side_by_side                       the responses of several policies to the same prompts
finished_run, checks/, two_runs         a run's numbers, computed again or compared with another run's
"""
