"""FastMCP over the bench's REST backend, from an OpenAPI description: `UPSTREAM` says where that is."""

import os

import httpx2
from fastmcp import FastMCP

ITEM = {
    "type": "object",
    "properties": {"id": {"type": "integer"}, "name": {"type": "string"}, "price": {"type": "number"}},
}
SPEC = {
    "openapi": "3.1.0",
    "info": {"title": "backend", "version": "1"},
    "paths": {
        "/stock/{id}": {
            "get": {
                "operationId": "get_item_0",
                "summary": "One item, by its id, with name and price.",
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}}
                ],
                "responses": {
                    "200": {"description": "The item.", "content": {"application/json": {"schema": ITEM}}}
                },
            }
        }
    },
}

# As many connections as the bench has clients.
limits = httpx2.Limits(max_connections=64, max_keepalive_connections=64)
client = httpx2.AsyncClient(base_url=os.environ["UPSTREAM"], limits=limits)
server = FastMCP.from_openapi(SPEC, client=client, name="peer")
app = server.http_app(path="/mcp", stateless_http=True, json_response=True)
