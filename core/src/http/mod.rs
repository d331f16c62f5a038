//! The HTTP port: `/metrics`, `/healthz`, `/readyz`, on one ordinary thread that no shard waits for.
//!
//! - `listen.rs`: the address, and what to do if it is taken
//! - `bounded.rs`: connections that are limited in number and in time
//! - `places.rs`: who gives way when others want a place
//! - `routes.rs`: what is answered

mod bounded;
mod listen;
mod places;
mod routes;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

pub use listen::{Bound, ListenError, bind};

use crate::metrics::scrape::Scraper;
use crate::metrics::status::Status;
use bounded::{BoundedListener, CONNECTIONS_MAX};
use places::Places;

/// A tenth of a shard's share of a core that both want.
const NICENESS: libc::c_int = 10;

/// The port, open until this is dropped.
#[derive(Debug)]
pub struct HttpPort {
    address: SocketAddr,
    /// Disconnects when dropped, and so ends the thread.
    stop: Option<flume::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl HttpPort {
    /// Answers on `listener`, on a thread of its own, until dropped.
    ///
    /// # Errors
    /// Of the system, if there is no thread or no descriptor left.
    pub fn start(
        listener: TcpListener,
        status: Arc<Status>,
        scraper: Scraper,
    ) -> io::Result<HttpPort> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(2)
            .thread_name("http-aside")
            .build()?;
        let (stop, stopped) = flume::bounded::<()>(1);
        let serve = async move {
            let (listener, places) =
                (tokio::net::TcpListener::from_std(listener)?, Places::new(CONNECTIONS_MAX));
            let listener = BoundedListener::new(listener, places.clone());
            let routes = routes::routes(status, Arc::new(scraper), places);
            let serving = axum::serve(listener, routes).into_future();
            futures_util::future::select(Box::pin(serving), stopped.into_recv_async()).await;
            Ok::<(), io::Error>(())
        };
        let body = move || {
            give_way();
            // Its end, whatever the cause, is no end of the broker.
            let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(serve)));
            match outcome {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "the HTTP port is closed"),
                Err(_) => tracing::error!("a panic has closed the HTTP port; the broker goes on"),
            }
            // A file system that hangs may hold one of its threads.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("http".to_owned()).spawn(body)?;
        Ok(HttpPort { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Lowers the calling thread's priority: where all cores have a shard, it runs on one of theirs.
fn give_way() {
    // SAFETY: setpriority(2) takes numbers; 0 is the calling thread.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) } != 0 {
        // It is as nice already, and may not be less.
        tracing::debug!(error = %io::Error::last_os_error(), "the HTTP port keeps its priority");
    }
}

impl Drop for HttpPort {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It caught its panics.
            let _ = thread.join();
        }
    }
}
