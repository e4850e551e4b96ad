"""What has to hold on a GPU: each test runs on the processor here, and on CUDA with `pytest -m gpu tests/device`.

On either device the figures are compared with a plain computation on the processor.
"""
