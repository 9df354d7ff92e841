"""The backend `openai`: any server that speaks OpenAI's chat protocol."""
