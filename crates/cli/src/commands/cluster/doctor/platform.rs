//! Asks the platform as the agent will: the same host, the same path, no credential.

use std::time::{Duration, SystemTime};

use reqwest::{StatusCode, Url};

use super::judge::Platform;

const DEADLINE: Duration = Duration::from_secs(15);

pub async fn ask(base: &Url) -> Platform {
    let mut found = Platform {
        url: base.as_str().trim_end_matches('/').to_owned(),
        ..Platform::default()
    };
    let client = reqwest::Client::builder()
        .timeout(DEADLINE)
        .redirect(reqwest::redirect::Policy::none())
        .build();
    let url = format!("{}/agent/probe", found.url);
    let answer = match client {
        Ok(client) => client.get(url).send().await,
        Err(error) => Err(error),
    };
    match answer {
        Err(error) => found.unreachable = Some(words(&error)),
        Ok(answer) => {
            found.agent_status =
                Some(answer.status().as_u16()).filter(|status| *status != StatusCode::OK.as_u16());
            let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
            found.skew = date.and_then(seconds).map(|theirs| theirs - now());
        }
    }
    found
}

/// The whole chain: the outermost says only that something failed.
fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}

/// Where the agent will dial.
pub fn connect(base: &Url) -> String {
    let base = base.as_str().trim_end_matches('/');
    match base.strip_prefix("http") {
        Some(rest) => format!("ws{rest}/agent/"),
        None => format!("{base}/agent/"),
    }
}

/// Proxies that this shell uses for the platform; what may be a password in them is left out.
pub fn proxies(variable: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    [
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
    ]
    .into_iter()
    .filter_map(|name| {
        let value = variable(name).filter(|value| !value.is_empty())?;
        let shown = match (value.split_once("://"), value.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
            _ => value.clone(),
        };
        Some((name.to_owned(), shown))
    })
    .collect()
}

pub(super) fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7) as seconds since the epoch.
fn seconds(date: &str) -> Option<i64> {
    let fields: Vec<&str> = date.split(' ').collect();
    let [_, day, month, year, time, "GMT"] = fields[..] else {
        return None;
    };
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = i64::try_from(months.iter().position(|name| *name == month)?).ok()? + 1;
    let time: Vec<i64> = time.split(':').map_while(|part| part.parse().ok()).collect();
    let [hour, minute, second] = time[..] else {
        return None;
    };
    Some(days(year.parse().ok()?, month, day.parse().ok()?) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// `2026-01-31T08:49:37Z` as seconds since the epoch.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    let (date, time) = text.trim_end_matches('Z').split_once('T')?;
    let numbers =
        |text: &str, by: char| -> Vec<i64> { text.split(by).map_while(|part| part.parse().ok()).collect() };
    let ([year, month, day], [hour, minute, second]) = (&numbers(date, '-')[..], &numbers(time, ':')[..])
    else {
        return None;
    };
    Some(days(*year, *month, *day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days since the epoch in the Gregorian calendar: <https://howardhinnant.github.io/date_algorithms.html#days_from_civil>
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_seconds() {
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds("yesterday"), None);
        assert_eq!(timestamp("1994-11-06T08:49:37Z"), Some(784_111_777));
        assert_eq!(timestamp("2000-02-29T00:00:00Z"), Some(951_782_400));
        assert_eq!(timestamp("x"), None);
    }

    #[test]
    fn a_proxys_password_is_not_shown() {
        let set =
            |name: &str| (name == "https_proxy").then(|| "http://user:secret@proxy.example:3128".to_owned());
        assert_eq!(
            proxies(set),
            [("https_proxy".to_owned(), "http://proxy.example:3128".to_owned())]
        );
    }

    #[test]
    fn the_agent_dials_where_the_platform_is() {
        let connect = |url: &str| connect(&Url::parse(url).unwrap());
        assert_eq!(connect("https://c7n.example.com"), "wss://c7n.example.com/agent/");
        assert_eq!(connect("http://127.0.0.1:8080/"), "ws://127.0.0.1:8080/agent/");
    }
}
