"""geochg for other programs: JSON-RPC 2.0 over stdin and stdout, one message a line.

The protocol is told in docs/worker.md.
"""
