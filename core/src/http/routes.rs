//! What is answered where.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, Response, StatusCode};
use axum::routing::get;
use tokio::time::sleep;

use super::places::Places;
use crate::metrics::scrape::{self, Scraper};
use crate::metrics::status::{Status, Verdict};

const PLAIN: &str = "text/plain; charset=utf-8";

const INDEX: &str = "\
corelane

/metrics   counters and gauges, for Prometheus
/healthz   200 if the broker lives, 503 if it should be restarted
/readyz    200 if it serves clients, 503 while it starts, stops or can't
";

/// All of them; whatever else is asked is 404, and with another method than GET or HEAD 405.
pub fn routes(status: Arc<Status>, scraper: Arc<Scraper>, places: Arc<Places>) -> Router {
    let (health, readiness) = (status.clone(), status);
    let metrics = move || {
        let (scraper, places) = (scraper.clone(), places.clone());
        async move { metrics(&scraper, &places).await }
    };
    Router::new()
        .route("/", get(async || text(StatusCode::OK, INDEX)))
        .route("/metrics", get(metrics))
        .route("/healthz", get(async move || verdict("ok", health.health(Instant::now()))))
        .route("/readyz", get(async move || verdict("ready", readiness.readiness(Instant::now()))))
        .fallback(async || text(StatusCode::NOT_FOUND, "not found; / lists what there is\n"))
        .method_not_allowed_fallback(async || {
            text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed\n")
        })
}

/// How long a reader that is closed has to let go of its page.
const CLOSE_TIME: Duration = Duration::from_millis(10);

async fn metrics(scraper: &Scraper, places: &Places) -> Response<Body> {
    let mut page = scraper.scrape().await;
    while page.is_none() && places.close_slowest_reader() {
        sleep(CLOSE_TIME).await;
        page = scraper.scrape().await;
    }
    match page {
        Some(page) => {
            answer(StatusCode::OK, &[(CONTENT_TYPE, scrape::CONTENT_TYPE)], Body::from(page))
        }
        None => answer(
            StatusCode::SERVICE_UNAVAILABLE,
            &[(CONTENT_TYPE, PLAIN), (RETRY_AFTER, "10")],
            Body::from("clients are slow to take the pages before this one\n"),
        ),
    }
}

fn verdict(good: &str, verdict: Verdict) -> Response<Body> {
    let Verdict { is_good, reasons } = verdict;
    let (status, head) =
        if is_good { (StatusCode::OK, good) } else { (StatusCode::SERVICE_UNAVAILABLE, "not") };
    let head = if is_good { head.to_owned() } else { format!("{head} {good}") };
    let lines: Vec<String> = [head].into_iter().chain(reasons).collect();
    text(status, lines.join("\n") + "\n")
}

fn text(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    answer(status, &[(CONTENT_TYPE, PLAIN)], text.into())
}

/// One request a connection: see [`super::bounded`].
fn answer(
    status: StatusCode,
    headers: &[(HeaderName, &'static str)],
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let every = [(CONNECTION, "close"), (CACHE_CONTROL, "no-store")];
    for (name, value) in every.iter().chain(headers) {
        response.headers_mut().insert(name, axum::http::HeaderValue::from_static(value));
    }
    response
}
