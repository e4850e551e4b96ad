"""Online alignment of language models from preferences: F rounds of collecting, annotating and learning.

Read in this order: loop.py (the algorithm), records.py (what passes between stages), then a stage:

    data/ -> collection/ ---------------> learning/ ------> evaluation/ -> run_folder/
    prompts  allocation/ which prompts    losses/           win rate, KL   what a run leaves
             samplers/   two responses    references/
             oracles/    which is better

Commands   train  sft  reward          make something (reward_fitting/)
           evaluate  sample  verify    look at what was made (after_training/)
Wiring     cli/ reads and checks a command, config.py holds its values, build.py joins the parts
Model      models/ weights and tokens; inference/ log-probs and sampling
Ground     storage/ whole files; runtime/ processes, signals, threads, report, seeds, errors; loggers/ trackers
"""
