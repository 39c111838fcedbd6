//! The API client asks before each request whether this copy may still write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{Either, Ready, ready};
use http::{Method, Request};
use kube::client::Body;
use tokio::time::Instant;
use tower::{BoxError, Layer, Service};

/// Why a request was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this copy of the agent does not lead (any more), so it writes nothing; another copy goes on")]
pub struct NotLeading;

/// Until when may be written. A cheap handle.
#[derive(Debug, Clone)]
pub struct Fence {
    start: Instant,
    /// Milliseconds since `start`.
    falls: Arc<AtomicU64>,
}

impl Fence {
    /// For an agent that is alone: it may always write.
    pub fn open() -> Self {
        Self::at(u64::MAX)
    }

    /// Nothing may be written until [`Fence::until`] says so.
    pub fn closed() -> Self {
        Self::at(0)
    }

    fn at(falls: u64) -> Self {
        Self {
            start: Instant::now(),
            falls: Arc::new(AtomicU64::new(falls)),
        }
    }

    /// The clock that election and fence share.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub fn until(&self, falls: Option<Duration>) {
        let ms = falls.map_or(0, |falls| u64::try_from(falls.as_millis()).unwrap_or(u64::MAX));
        self.falls.store(ms, Ordering::SeqCst);
    }

    pub fn check(&self) -> Result<(), NotLeading> {
        let now = u64::try_from(self.now().as_millis()).unwrap_or(u64::MAX);
        if now < self.falls.load(Ordering::SeqCst) {
            Ok(())
        } else {
            Err(NotLeading)
        }
    }
}

/// Puts the fence around a client of the API server. Reading is free.
#[derive(Debug, Clone)]
pub struct FenceLayer(pub Fence);

impl<S> Layer<S> for FenceLayer {
    type Service = Fenced<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Fenced {
            inner,
            fence: self.0.clone(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Fenced<S> {
    inner: S,
    fence: Fence,
}

impl<S> Service<Request<Body>> for Fenced<S>
where
    S: Service<Request<Body>, Error = BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Either<S::Future, Ready<Result<S::Response, BoxError>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        match self.fence.check() {
            Err(closed) if !reads => Either::Right(ready(Err(closed.into()))),
            _ => Either::Left(self.inner.call(request)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Remembers what reached it.
    #[derive(Clone, Default)]
    struct Server(Arc<Mutex<Vec<Method>>>);

    impl Service<Request<Body>> for Server {
        type Response = ();
        type Error = BoxError;
        type Future = Ready<Result<(), BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            self.0.lock().unwrap().push(request.method().clone());
            ready(Ok(()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_it_fell_reading_goes_on_and_writing_does_not() {
        let (server, fence) = (Server::default(), Fence::closed());
        let mut fenced = FenceLayer(fence.clone()).layer(server.clone());
        let mut ask = async |method: Method| {
            let request = Request::builder().method(method).body(Body::empty()).unwrap();
            fenced.call(request).await
        };

        assert!(ask(Method::PATCH).await.unwrap_err().is::<NotLeading>());
        ask(Method::GET).await.unwrap();
        fence.until(Some(fence.now() + Duration::from_secs(7)));
        ask(Method::PATCH).await.unwrap();
        ask(Method::DELETE).await.unwrap();
        tokio::time::advance(Duration::from_secs(7)).await;
        ask(Method::POST).await.unwrap_err();
        ask(Method::GET).await.unwrap();

        assert_eq!(
            *server.0.lock().unwrap(),
            [Method::GET, Method::PATCH, Method::DELETE, Method::GET]
        );
    }
}
