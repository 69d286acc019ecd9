"""A carrier that exists only on this machine: a process of its own, spoken to over HTTP.

It imports nothing of the product and the product imports nothing of it. docs/simulator.md says how
to use it.
"""
