"""geochg for assistants: a Model Context Protocol server over stdin and stdout.

docs/mcp.md describes its tools and how it is kept to the folders that it was started with.
"""
