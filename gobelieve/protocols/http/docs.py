"""The OpenAPI document as a page for people: plain HTML, which loads nothing from other hosts."""

from html import escape
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff }
h1 { margin-bottom: 0 } h2 { margin: 2.5rem 0 .5rem; font-size: 1.15rem; border-top: 1px solid #ccc;
       padding-top: 1rem } h3 { margin: 1rem 0 .3rem; font-size: .95rem }
code, pre { font: 14px/1.45 ui-monospace, monospace } nav { columns: 3 14rem; margin: 1.5rem 0 }
nav a { display: block } a { color: #06c; text-decoration: none }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; vertical-align: top;
       padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #eee } th { font-weight: 600 }
pre { background: #f6f6f4; padding: .7rem; overflow-x: auto; margin: .3rem 0 }
.method { color: #fff; background: #4a6; padding: .05rem .4rem; font-size: .8rem }
.get { background: #47a } .free { color: #777; font-size: .85rem; font-weight: normal }
td:first-child { white-space: nowrap }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 }
       pre { background: #242424 } a { color: #7bf } h2, td, th { border-color: #333 } }
"""


def page(document: dict[str, Any]) -> bytes:
    """Return the page of an OpenAPI document."""
    info = document["info"]
    title = f"{info['title']} {info['version']}: HTTP API"
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(title)}</h1>",
        *(f"<p>{_text(paragraph)}</p>" for paragraph in info["description"].split("\n\n")),
        "<p>For programs: <a href=/openapi.json>/openapi.json</a></p><nav>",
        *(f"<a href='#{escape(path)}'>{escape(path)}</a>" for path in document["paths"]),
        "</nav>",
    ]
    for path, operations in document["paths"].items():
        parts += _path(path, operations)
    return "".join(parts).encode()


def _path(path: str, operations: dict[str, Any]) -> list[str]:
    """Return the HTML of a path. Methods with the same summary share a section."""
    together: list[tuple[list[str], dict[str, Any]]] = []
    for method, operation in operations.items():
        if together and together[-1][1]["summary"] == operation["summary"]:
            together[-1][0].append(method)
        else:
            together.append(([method], operation))
    parts: list[str] = []
    for place, (methods, operation) in enumerate(together):
        marks = " ".join(f"<span class='method {m}'>{m.upper()}</span>" for m in methods)
        free = "" if operation["security"] else " <span class=free>without a key</span>"
        name = f" id='{escape(path)}'" if place == 0 else ""
        parts.append(f"<h2{name}>{marks} <code>{escape(path)}</code>{free}</h2>")
        parts += _operation(operation)
    return parts


def _operation(operation: dict[str, Any]) -> list[str]:
    parts = [f"<p>{_text(operation['summary'])} {_text(operation.get('description', ''))}</p>"]
    if "parameters" in operation:
        parts.append("<h3>Parameters</h3><table>")
        for one in operation["parameters"]:
            optional = "" if one["required"] else ", optional"
            kind = _type(one["schema"]) + optional
            what = _text(one["description"])
            parts.append(f"<tr><td><code>{escape(one['name'])}</code><td>{kind}<td>{what}")
        parts.append("</table>")
    if "requestBody" in operation:
        body = operation["requestBody"]
        parts.append(f"<h3>Body</h3><p>{_text(body.get('description', ''))}</p>")
        for kind, content in body["content"].items():
            parts.append(f"<pre>{escape(kind)}: {escape(_sketch(content['schema']))}</pre>")
    parts.append("<h3>Answers</h3><table>")
    for code, answer in operation["responses"].items():
        shape = ""
        if code == "200":
            for content in answer.get("content", {}).values():
                shape = f"<pre>{escape(_sketch(content['schema']))}</pre>"
        parts.append(f"<tr><td>{code}<td>{_text(answer['description'])}{shape}")
    parts.append("</table>")
    return parts


def _text(text: str) -> str:
    """Return a text as HTML. What stands in backquotes becomes ``code``."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{one}</code>" if n % 2 else one for n, one in enumerate(pieces))


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"<code>{escape(str(one))}</code>" for one in schema["enum"])
    return escape(str(schema.get("type", "")))


def _sketch(schema: dict[str, Any], indent: str = "") -> str:
    """Return a schema in the form of the JSON that it describes."""
    if "anyOf" in schema:
        kinds = [_sketch(one, indent) for one in schema["anyOf"]]
        return (f"\n{indent}or " if kinds[0].startswith("{") else " or ").join(kinds)
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    kind = schema.get("type", "anything")
    if kind == "object" and "properties" in schema:
        deeper = indent + "  "
        required = schema.get("required", [])
        lines = [
            f'{deeper}"{name}": {_sketch(one, deeper)}'
            + ("" if name in required else "  (optional)")
            for name, one in schema["properties"].items()
        ]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if "array" in kind and "items" in schema:
        items = schema["items"]
        # A list that passes over some items says so in words.
        return f"[{_sketch(items['anyOf'][0] if 'anyOf' in items else items, indent)}, ...]"
    return kind if isinstance(kind, str) else " or ".join(kind)
