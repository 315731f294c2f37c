"""Bodies made of the examples in the OpenAPI document, so that every route can be called."""

from typing import Any


def example_body(document: dict[str, Any], operation: dict[str, Any]) -> Any:
    """Return a body for an operation, or None when it takes none."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    return None if schema is None else _example(document, schema)


def _example(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    if schema.get("examples"):
        return schema["examples"][0]
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _example(document, document["components"]["schemas"][name])
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    for choice in schema.get("anyOf", []):
        if choice.get("type") != "null":
            return _example(document, choice)
    match schema.get("type"):
        case "object":
            required = set(schema.get("required", []))
            return {
                name: _example(document, each)
                for name, each in schema.get("properties", {}).items()
                if name in required or each.get("examples")
            }
        case "array":
            return [_example(document, schema["items"])] if schema.get("minItems") else []
        case "boolean":
            return True
        case "integer" | "number":
            return schema.get("minimum", 1)
        case _:
            return "x" * schema.get("minLength", 1)
