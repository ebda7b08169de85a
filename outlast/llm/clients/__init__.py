"""The clients that a worker calls models with. Open `claude_clients.py` first.

It builds them of the SDK's own, which sign requests and address a model as Anthropic, Amazon Bedrock or Google Vertex AI wants;
`event_stream.py` reads the frames in which Bedrock sends the events of a stream.
"""
