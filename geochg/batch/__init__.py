"""Many pairs of one list: run one by one, by local processes or on a cluster, and merged."""
