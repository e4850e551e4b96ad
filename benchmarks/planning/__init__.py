"""What `python -m benchmarks.plan` computes. From sizes to hours:

architecture, hardware   the model and the machine, in a handful of numbers
cost, job                what a piece of work costs on one GPU, and a model placed on a machine
passes                   the pieces: sampling, scoring, annotation, a step, folding, writing
stages, memory           a whole run from these pieces, and the memory of a GPU
run_plan, paper          one run as a result and as tables; the paper's table
measurements, predictions   files of the other benchmarks, and how well they are predicted
command                  reads the command line
"""
