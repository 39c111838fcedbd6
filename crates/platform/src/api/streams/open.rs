use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use c7n_api::{NewStream, OpenedStream, Problem};

use crate::access::Verb;
use crate::api::authenticate::SignedIn;
use crate::api::extract::{Body, Named};
use crate::api::{Api, Failure};
use crate::streams::{OpenError, Opener};

/// Open a log, a process or a port of a pod.
///
/// The answer is a ticket for one WebSocket (`GET /api/v1/streams`), good once and for some seconds. Logs need the right to
/// logs in the environment, the others the right to exec.
#[utoipa::path(
    post, path = "/projects/{project}/environments/{environment}/streams", tag = "streams", request_body = NewStream,
    params(("project" = String, Path, description = "name or id"), ("environment" = String, Path, description = "name or id")),
    responses(
        (status = 201, body = OpenedStream), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "`cluster-away`: no agent is connected; `agent-too-old`: it knows no streams"),
        (status = 422, body = Problem),
        (status = 429, body = Problem, description = "`too-many-streams`"),
    )
)]
pub async fn open_stream(
    State(api): State<Api>,
    who: SignedIn,
    Named((project, environment)): Named<(String, String)>,
    Body(new): Body<NewStream>,
) -> Result<(StatusCode, Json<OpenedStream>), Failure> {
    let (_, environment) = api.environment(&who, Verb::See, (&project, &environment)).await?;
    let opener = Opener {
        token_hash: &who.token_hash,
        environment: &environment.id,
        environment_name: &environment.name,
    };
    let opened = api.inner.streams.open(opener, new).await?;
    Ok((StatusCode::CREATED, Json(opened)))
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let title = error.to_string();
        let conflict = |code, next| Failure::new(StatusCode::CONFLICT, code, &*title, next);
        match error {
            OpenError::Wish(bad) => Failure::invalid(bad.title, bad.next),
            OpenError::Denied(denial) => Failure::denied(denial, "environment"),
            OpenError::Gone => Failure::not_found("environment"),
            OpenError::ClusterAway => conflict(
                "cluster-away",
                "look at it with `c7n cluster show`, then try again",
            ),
            OpenError::AgentTooOld => conflict(
                "agent-too-old",
                "bring it to the platform's version with `c7n cluster upgrade-agent`",
            ),
            OpenError::TooMany(_) => {
                let next = "end some that are open (`c7n env sessions` shows them), then try again; an administrator can raise \
                            the limit of the server";
                Failure::new(StatusCode::TOO_MANY_REQUESTS, "too-many-streams", title, next).retry_after(10)
            }
            OpenError::Recording(error) => {
                tracing::error!(%error, "a recording cannot be begun");
                Failure::new(
                    StatusCode::INSUFFICIENT_STORAGE,
                    "no-recording",
                    "this environment records its sessions, and the recording cannot be written",
                    "tell an administrator to look at the platform's disk",
                )
            }
            OpenError::Store(error) => error.into(),
        }
    }
}
