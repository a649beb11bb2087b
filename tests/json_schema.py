"""Checks values against a JSON schema, as far as the schemas of this project go."""

TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None),
         "boolean": bool}
KEYWORDS = {"$schema", "$defs", "$ref", "title", "description", "type", "const", "anyOf", "properties", "required",
            "additionalProperties", "items", "prefixItems", "minItems"}


def problems(value, schema, root=None, place="$"):
    """What of a value is not as a schema says: places with what is wrong there."""
    root = root or schema
    assert set(schema) <= KEYWORDS, place
    if "$ref" in schema:
        return problems(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, place)
    if "anyOf" in schema:
        tried = [problems(value, one, root, place) for one in schema["anyOf"]]
        return [] if [] in tried else tried[0]
    if "const" in schema:
        return [] if value == schema["const"] else [f"{place}: {value!r} is not {schema['const']!r}"]
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    if not any(isinstance(value, TYPES[kind]) and (kind == "boolean") == isinstance(value, bool) for kind in kinds):
        return [f"{place}: {value!r} is no {' or '.join(kinds)}"]
    if isinstance(value, dict):
        return _of_object(value, schema, root, place)
    if isinstance(value, list):
        return _of_array(value, schema, root, place)
    return []


def _of_object(value, schema, root, place):
    properties, others = schema.get("properties", {}), schema["additionalProperties"]
    found = [f"{place}: lacks {name}" for name in schema.get("required", []) if name not in value]
    for name, entry in value.items():
        if name in properties or others is not False:
            found += problems(entry, properties.get(name, others), root, f"{place}.{name}")
        else:
            found.append(f"{place}: has {name}")
    return found


def _of_array(value, schema, root, place):
    first = schema.get("prefixItems", [])
    if len(value) < schema.get("minItems", 0) or (schema["items"] is False and len(value) > len(first)):
        return [f"{place}: has {len(value)} items"]
    kinds = [first[n] if n < len(first) else schema["items"] for n in range(len(value))]
    return [problem for n, entry in enumerate(value) for problem in problems(entry, kinds[n], root, f"{place}[{n}]")]
