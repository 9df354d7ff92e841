"""geochg for other programs: JSON-RPC 2.0 over stdin and stdout, one message a line.

The protocol is documented in docs/worker.md.
"""
