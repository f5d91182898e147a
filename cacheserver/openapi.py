"""OpenAPI 3.1, made from the URL table and the msgspec types that the handlers themselves use."""

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any, Final

import msgspec

from cacheserver.routes import Answer, Parameter, Route

_REF: Final = "#/components/schemas/{name}"


def document(routes: Iterable[Route], maxima: Mapping[str, int]) -> bytes:
    """The document for `routes`, as JSON. `maxima`: what the settings allow of parameters, by name."""
    routes = tuple(routes)
    types = _types(routes)
    schemas, components = msgspec.json.schema_components(list(types.values()), ref_template=_REF)
    schema_of = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of, maxima)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "forefeed cache server",
                "version": version("forefeed"),
                "description": "Pages of precomputed feeds. Ids are strings of 1 to 128 bytes in answers, strings or "
                "64-bit integers in bodies; times are seconds since the epoch, UTC. Errors are RFC 9457 documents.",
            },
            "paths": paths,
            "components": {"schemas": components},
        }
    )


def _types(routes: Iterable[Route]) -> dict[str, Any]:
    """Every type the table names, by its repr (annotated types are not hashable everywhere)."""
    found: dict[str, Any] = {}
    for route in routes:
        bodies = [*route.body.values()]
        for answer in route.answers.values():
            bodies += answer.content.values()
            bodies += [kind for kind, _ in (*answer.headers.values(), *answer.optional.values())]
        for kind in (*bodies, *(parameter.type for parameter in route.parameters)):
            if kind is not None:
                found.setdefault(repr(kind), kind)
    return found


def _operation(route: Route, schema_of: Mapping[str, Any], maxima: Mapping[str, int]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler,
        "summary": route.summary,
        "responses": {str(status): _response(answer, schema_of) for status, answer in sorted(route.answers.items())},
    }
    if route.parameters:
        operation["parameters"] = [_parameter(parameter, schema_of, maxima) for parameter in route.parameters]
    if route.body:
        operation["requestBody"] = {"required": True, "content": _content(route.body, schema_of, route.example)}
    return operation


def _parameter(parameter: Parameter, schema_of: Mapping[str, Any], maxima: Mapping[str, int]) -> dict[str, Any]:
    schema = schema_of[repr(parameter.type)]
    if parameter.name in maxima:
        schema = {**schema, "maximum": maxima[parameter.name]}
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.where == "path",
        "description": parameter.description,
        "schema": schema,
    }


def _response(answer: Answer, schema_of: Mapping[str, Any]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": answer.description}
    headers = {
        name: {"description": what, "required": required, "schema": schema_of[repr(kind)]}
        for group, required in ((answer.headers, True), (answer.optional, False))
        for name, (kind, what) in group.items()
    }
    if headers:
        response["headers"] = headers
    if answer.content:
        response["content"] = _content(answer.content, schema_of, answer.example)
    return response


def _content(content: Mapping[str, Any], schema_of: Mapping[str, Any], example: Any) -> dict[str, Any]:
    described: dict[str, Any] = {}
    for media_type, kind in content.items():
        described[media_type] = {"schema": {"type": "string"} if kind is None else schema_of[repr(kind)]}
        if example is not None and kind is not None:
            described[media_type]["example"] = example
    return described
