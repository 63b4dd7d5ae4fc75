"""Benchmarks beside the servers that people use today: ratios of one run on one machine, the servers' CPU time counted."""
