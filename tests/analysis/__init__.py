"""study, parts, drawn, remarks, whole_files: test_aggregate. allocations, colors: test_allocation_figures."""
