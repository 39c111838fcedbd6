//! The description of the API, made from the handlers. A copy is committed; a test tells when it has drifted.

use axum::Json;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Api, closed_operations, open_operations};

const TOKEN: &str = "token";

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(openapi))
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "about", responses((status = 200, description = "OpenAPI 3.1")))]
async fn openapi() -> Json<OpenApi> {
    Json(document())
}

pub fn document() -> OpenApi {
    let mut closed = closed_operations().to_openapi();
    for item in closed.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete]
            .into_iter()
            .flatten();
        for operation in operations {
            operation.security = Some(vec![SecurityRequirement::new(TOKEN, Vec::<String>::new())]);
        }
    }
    let mut all = OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("c7n")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "Continuous delivery to Kubernetes. Every answer that is no success is an \
                     `application/problem+json` of the schema `Problem`.",
                ))
                .build(),
        )
        .components(Some(Components::new()))
        .build()
        .nest("/api/v1", open_operations().to_openapi())
        .nest("/api/v1", closed);
    if let Some(components) = &mut all.components {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme(TOKEN, SecurityScheme::Http(bearer));
    }
    all
}
