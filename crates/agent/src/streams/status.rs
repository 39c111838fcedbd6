//! How a process in a container ended: what the API server writes on the channel of errors, a `Status` in JSON.

use c7n_stream::Finished;
use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessEnd {
    Exited(Finished),
    /// The container has no such program. In the words of the container runtime.
    NoSuchProgram(String),
    /// It is there and cannot be run.
    NotPermitted(String),
    Failed(String),
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct Status {
    status: String,
    message: String,
    reason: String,
    details: Option<Details>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Details {
    causes: Vec<Cause>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cause {
    reason: String,
    message: String,
}

pub fn read(bytes: &[u8]) -> ProcessEnd {
    let Ok(status) = serde_json::from_slice::<Status>(bytes) else {
        return ProcessEnd::Failed(String::from_utf8_lossy(bytes).trim().to_owned());
    };
    let exited = |exit_code, message: &str| {
        ProcessEnd::Exited(Finished {
            exit_code,
            message: message.to_owned(),
        })
    };
    if status.status == "Success" {
        return exited(0, "");
    }
    let code = status
        .details
        .iter()
        .flat_map(|details| &details.causes)
        .find(|cause| cause.reason == "ExitCode")
        .and_then(|cause| cause.message.parse().ok());
    if let (Some(code), "NonZeroExitCode") = (code, status.reason.as_str()) {
        return exited(code, "");
    }
    // The words of runc and crun; there is no code for it.
    let said = status.message.to_ascii_lowercase();
    let of_exec = said.contains("exec");
    if of_exec && (said.contains("executable file not found") || said.contains("no such file or directory")) {
        return ProcessEnd::NoSuchProgram(status.message);
    }
    if of_exec && said.contains("permission denied") {
        return ProcessEnd::NotPermitted(status.message);
    }
    ProcessEnd::Failed(status.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_is_found_and_a_missing_program_is_told_from_other_trouble() {
        let exited = |exit_code| {
            ProcessEnd::Exited(Finished {
                exit_code,
                message: String::new(),
            })
        };
        let not_there = "Internal error occurred: Internal error occurred: error executing command in container: failed to exec \
                         in container: failed to start exec \"x\": OCI runtime exec failed: exec failed: unable to start \
                         container process: exec: \"bash\": executable file not found in $PATH";
        let not_there_in_root = "exec failed: unable to start container process: exec: \"/bin/x\": stat /bin/x: no such file or directory";
        let forbidden = "OCI runtime exec failed: exec: \"/etc/passwd\": permission denied";
        for (text, wanted) in [
            (r#"{"metadata":{},"status":"Success"}"#.to_owned(), exited(0)),
            (
                r#"{"status":"Failure","message":"command terminated with non-zero exit code: 7","reason":"NonZeroExitCode",
                   "details":{"causes":[{"reason":"ExitCode","message":"7"}]}}"#
                    .to_owned(),
                exited(7),
            ),
            (failure(not_there), ProcessEnd::NoSuchProgram(not_there.to_owned())),
            (
                failure(not_there_in_root),
                ProcessEnd::NoSuchProgram(not_there_in_root.to_owned()),
            ),
            (failure(forbidden), ProcessEnd::NotPermitted(forbidden.to_owned())),
            (failure("the node is gone"), ProcessEnd::Failed("the node is gone".to_owned())),
            ("no json".to_owned(), ProcessEnd::Failed("no json".to_owned())),
        ] {
            assert_eq!(read(text.as_bytes()), wanted, "{text}");
        }
    }

    fn failure(message: &str) -> String {
        serde_json::json!({"status": "Failure", "reason": "InternalError", "message": message}).to_string()
    }
}
