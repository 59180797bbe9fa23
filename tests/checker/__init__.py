"""Whether anything is ever lost, stored twice or stored in part: shown under faults, from outside.

Clients send batches and record what they sent and what they were told, while workers, connections and locks are in
their way. At the end, what is stored is compared with all that was told. `python -m tests.checker --help` runs it.
"""
