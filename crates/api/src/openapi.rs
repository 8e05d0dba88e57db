//! The OpenAPI 3.1 document, made from the table of routes.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    routes::{Body, Parameter, Place, ROUTES, Route},
    wire::{Problem, ProblemBody},
};

/// What can go wrong with any request.
const PROBLEMS_EVERYWHERE: &[Problem] = &[
    Problem::Malformed,
    Problem::Misdirected,
    Problem::TooMany,
    Problem::Fault,
    Problem::Stopped,
    Problem::Busy,
];

/// Returns the OpenAPI 3.1 document of all routes.
#[must_use]
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let operation = operation(route, &mut generator);
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        methods[route.method.name().to_lowercase()] = operation;
    }
    // Asked for here, so that it is among the schemas below.
    let problem = generator.subschema_for::<ProblemBody>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Idlewild node",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Amounts are integers in micro units, times milliseconds since 1970, \
                identifiers lower-case hexadecimal, addresses bech32m.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "responses": { "Problem": {
                "description": "What is wrong, and what to do about it",
                "content": { "application/json": { "schema": problem } },
            } },
            "securitySchemes": { "signed": {
                "type": "apiKey",
                "in": "header",
                "name": "authorization",
                "description": "Idlewild address=…, time=…, body=…, signature=…: an ed25519 \
                    signature over the header host, method, path with query, BLAKE3 hash of the \
                    body, and time in milliseconds",
            } },
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let parameters: Vec<Value> =
        route.parameters.iter().map(|parameter| self::parameter(parameter, generator)).collect();
    let mut operation = json!({
        "operationId": format!("{:?}", route.operation),
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses(route, generator),
    });
    if let Some(content) = content(route.request, generator) {
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    if route.signed {
        operation["security"] = json!([{ "signed": [] }]);
    }
    operation
}

fn parameter(parameter: &Parameter, generator: &mut SchemaGenerator) -> Value {
    let place = match parameter.place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
    };
    json!({
        "name": parameter.name,
        "in": place,
        "required": parameter.place == Place::Path,
        "description": parameter.about,
        "schema": (parameter.schema)(generator),
    })
}

fn responses(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut success = json!({ "description": "Done" });
    if let Some(content) = content(route.response, generator) {
        success["content"] = content;
    }
    let mut responses = json!({ "200": success });
    if matches!(route.response, Body::Bytes) {
        responses["206"] = responses["200"].clone();
    }
    for problem in route.problems.iter().chain(PROBLEMS_EVERYWHERE) {
        responses[problem.status().to_string()] =
            json!({ "$ref": "#/components/responses/Problem" });
    }
    responses
}

fn content(body: Body, generator: &mut SchemaGenerator) -> Option<Value> {
    let (media, schema) = match body {
        Body::Empty => return None,
        Body::Json(schema) => ("application/json", json!(schema(generator))),
        Body::Bytes => ("application/octet-stream", json!({})),
        Body::Text(media) => (media, json!({ "type": "string" })),
        Body::Events(schema) => ("text/event-stream", json!(schema(generator))),
    };
    Some(json!({ media: { "schema": schema } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    found.push(reference.clone());
                }
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = openapi();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > ROUTES.len());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn the_document_holds_exactly_the_routes() {
        let document = openapi();
        let paths = document["paths"].as_object().unwrap();
        let count: usize = paths.values().map(|methods| methods.as_object().unwrap().len()).sum();
        assert_eq!(count, ROUTES.len());
        for route in ROUTES {
            let operation = &paths[route.path][route.method.name().to_lowercase()];
            assert_eq!(operation["summary"], route.summary);
            assert_eq!(operation["security"].is_array(), route.signed);
        }
    }
}
