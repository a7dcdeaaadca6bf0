//! The scenarios with lapin. Prints a line for each; arguments limit the run to the scenarios they name.

mod connections;
mod consuming;
mod contents;
mod errors;
mod proxy;
mod publishing;
mod restart;
mod routing;
mod session;

use std::{error::Error, future::Future, pin::Pin, process::ExitCode, time::Duration};

use session::Session;

const PATIENCE: Duration = Duration::from_secs(20);

/// A scenario fails by an error or by a failed assertion.
type Outcome = Result<(), Box<dyn Error + Send + Sync>>;
type Scenario = fn(Session) -> Pin<Box<dyn Future<Output = Outcome> + Send>>;

macro_rules! scenarios {
    ($($module:ident: $($name:ident),+;)+) => {
        [$($((stringify!($name), (|session| Box::pin($module::$name(session))) as Scenario)),+),+]
    };
}

#[tokio::main]
async fn main() -> ExitCode {
    let scenarios = scenarios! {
        connections: connect, access_refused, many_channels, heartbeat, reconnect, work_queue;
        routing: queue_lifecycle, direct, fanout, topic, headers, exchange_to_exchange, alternate_exchange;
        publishing: mandatory_return, confirm, confirm_many, confirm_nack, tx, direct_reply_to;
        consuming: prefetch, requeue, dead_letter, get, cancel, cancel_notify;
        contents: properties, header_types, body_empty, body_large;
        errors: error_403, error_404, error_405, error_406, error_530, error_540;
    };
    std::panic::set_hook(Box::new(|_| ()));
    let only: Vec<String> = std::env::args().skip(1).collect();
    if let ["restart", step] = only.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return restarted(step).await;
    }
    let mut failed = false;
    for (name, scenario) in scenarios {
        let name = name.replace('_', "-");
        if !only.is_empty() && !only.contains(&name) {
            continue;
        }
        match attempt(scenario).await {
            Ok(()) => println!("PASS {name}"),
            Err(problem) => {
                failed = true;
                println!(
                    "FAIL {name}: {}",
                    problem.split_whitespace().collect::<Vec<_>>().join(" ")
                );
            }
        }
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

async fn restarted(step: &str) -> ExitCode {
    let step: Scenario = match step {
        "before" => |session| Box::pin(restart::before(session)),
        _ => |session| Box::pin(restart::after(session)),
    };
    match attempt(step).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            println!("{problem}");
            ExitCode::FAILURE
        }
    }
}

async fn attempt(scenario: Scenario) -> Result<(), String> {
    let run = tokio::spawn(async move { scenario(Session::open().await?).await });
    match tokio::time::timeout(PATIENCE, run).await {
        Err(_) => Err(format!("not done after {PATIENCE:?}")),
        Ok(Ok(outcome)) => outcome.map_err(|error| error.to_string()),
        Ok(Err(panicked)) => Err(match panicked.into_panic().downcast::<String>() {
            Ok(message) => *message,
            Err(other) => other
                .downcast::<&str>()
                .map_or_else(|_| "panicked".into(), |message| message.to_string()),
        }),
    }
}
