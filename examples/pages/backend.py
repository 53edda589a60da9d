"""A backend whose lists come in pages, in four ways: `python3 examples/pages/backend.py`."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

ORDERS = [{"id": n, "customer": n % 7, "total": f"{n * 3}.50"} for n in range(1, 251)]
PAGE = 40


class Backend(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/orders":  # the next page is in the header `Link`
            page = int(query.get("page", 1))
            rows, more = cut(ORDERS, (page - 1) * PAGE)
            link = {"Link": f'</orders?page={page + 1}>; rel="next"'} if more else {}
            self.answer(rows, link)
        elif url.path == "/customers":  # numbered, as many as are asked for
            size = int(query["per_page"])
            start = (int(query["page"]) - 1) * size
            self.answer([{"id": n} for n in range(7)][start : start + size])
        elif url.path == "/invoices":  # an offset, and how many there are
            mine = [order for order in ORDERS if str(order["customer"]) == query["customer"]]
            self.answer({"invoices": cut(mine, int(query["skip"]))[0], "total": len(mine)})
        else:
            self.answer({"error": "there is no such list"}, status=404)

    def do_POST(self):  # a search: the cursor is in the reply, and goes into the body
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = [order for order in ORDERS if body["text"] in order["total"]]
        start = int(body.get("paging", {}).get("after", 0))
        rows, more = cut(found, start)
        self.answer({"hits": rows, "paging": {"next": str(start + PAGE) if more else None}})

    def answer(self, value, headers=None, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": len(body), **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)


def cut(rows, start):
    """A page of the rows, and whether there are more."""
    return rows[start : start + PAGE], start + PAGE < len(rows)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", 8394), Backend).serve_forever()
