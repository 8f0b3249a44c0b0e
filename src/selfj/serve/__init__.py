"""The gateway: OpenAI's HTTP interface before a model, letting through only what the judge expects to be good.

`docs/design/gateway.md` has the choices. Needs the extra `serve`.
"""
