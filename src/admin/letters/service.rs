//! The gRPC service: each request runs on a thread that may block, and long answers are sent part by part.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::access::DeadLetterAdmin;
use super::api;
use super::api::dead_letters_server::{DeadLetters, DeadLettersServer};
use super::convert::{failed, filter};
use super::outcome;
use super::replay::ReplayPlan;
use crate::clock::unix_nano;
use crate::store::RecordId;

/// Parts of an answer that are made ahead of a slow client.
const RESPONSE_BUFFER: usize = 4;

/// Answers requests about dead letters.
#[derive(Debug)]
pub(crate) struct Api(DeadLetterAdmin);

impl Api {
    /// The service, to be put behind a socket or called directly.
    pub(crate) fn server(admin: DeadLetterAdmin) -> DeadLettersServer<Self> {
        DeadLettersServer::new(Self(admin))
    }

    /// Runs `question` on a thread that may block.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&DeadLetterAdmin) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let admin = self.0.clone();
        let asked = spawn_blocking(move || question(&admin)).await;
        asked.unwrap_or_else(|error| Err(Status::internal(format!("this is a bug, please report it: {error}"))))
    }

    /// The same for an answer in parts. `question` hands each part to the function that it is given, which returns false once
    /// the client is gone.
    fn stream<T: Send + 'static>(
        &self,
        question: impl FnOnce(&DeadLetterAdmin, &mut dyn FnMut(T) -> bool) -> Result<(), Status> + Send + 'static,
    ) -> PartStream<T> {
        let (parts, answer) = mpsc::channel(RESPONSE_BUFFER);
        let admin = self.0.clone();
        spawn_blocking(move || {
            let mut tell = |part| parts.blocking_send(Ok(part)).is_ok();
            if let Err(status) = question(&admin, &mut tell) {
                // Fails only if the client is gone.
                let _ = parts.blocking_send(Err(status));
            }
        });
        ReceiverStream::new(answer)
    }
}

type PartStream<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl DeadLetters for Api {
    type ListStream = PartStream<api::ListResponse>;
    type ReplayStream = PartStream<api::ReplayResponse>;

    async fn list(&self, request: Request<api::ListRequest>) -> Result<Response<Self::ListStream>, Status> {
        let filter = filter(request.into_inner().filter)?;
        Ok(Response::new(self.stream(move |admin, tell| {
            let page = |letters: Vec<_>| {
                tell(api::ListResponse { letters: letters.into_iter().map(api::Letter::from).collect() })
            };
            admin.for_each_page(&filter, page).map_err(failed)
        })))
    }

    async fn show(&self, request: Request<api::ShowRequest>) -> Result<Response<api::ShowResponse>, Status> {
        let id = RecordId(request.into_inner().id);
        let found = self.ask(move |admin| admin.store().letter(id).map_err(failed)).await?;
        let (letter, body) = found.ok_or_else(|| Status::not_found(format!("there is no dead letter {}", id.0)))?;
        Ok(Response::new(api::ShowResponse { letter: Some(letter.into()), body }))
    }

    async fn stats(&self, _request: Request<api::StatsRequest>) -> Result<Response<api::StatsResponse>, Status> {
        let (kept, status) =
            self.ask(|admin| Ok((admin.store().kept().map_err(failed)?, admin.store().status()))).await?;
        let destination = |(name, kept): (String, crate::store::Kept)| api::stats_response::Destination {
            name,
            waiting: Some(kept.waiting.into()),
            dead: Some(kept.dead.into()),
            discarded: Some(kept.discarded.into()),
            oldest_unix_nano: kept.oldest,
        };
        Ok(Response::new(api::StatsResponse {
            destinations: kept.into_iter().map(destination).collect(),
            used_bytes: status.used_bytes,
            max_bytes: status.max_bytes,
            free_bytes: status.free_bytes,
            refusing: status.refusing.map(|why| why.to_string()).unwrap_or_default(),
            set_aside: status.set_aside.iter().map(|path| path.display().to_string()).collect(),
        }))
    }

    async fn replay(&self, request: Request<api::ReplayRequest>) -> Result<Response<Self::ReplayStream>, Status> {
        let api::ReplayRequest { filter: meant, spans_per_second, dry_run, wait_millis } = request.into_inner();
        let meant = filter(meant)?;
        Ok(Response::new(self.stream(move |admin, tell| {
            let started = unix_nano();
            let plan = ReplayPlan::make(admin, &meant).map_err(failed)?;
            if dry_run {
                tell(plan.progress(Default::default()));
                return Ok(());
            }
            let Some(moved) = plan.queue(admin, spans_per_second, tell).map_err(failed)? else { return Ok(()) };
            // Without a process that sends, what was queued waits: one look says so.
            let wait = if admin.is_running() { Duration::from_millis(wait_millis) } else { Duration::ZERO };
            outcome::follow(admin, &plan, moved, started, wait, tell).map_err(failed)
        })))
    }

    async fn purge(&self, request: Request<api::PurgeRequest>) -> Result<Response<api::PurgeResponse>, Status> {
        let meant = filter(request.into_inner().filter)?;
        let purged = self.ask(move |admin| admin.purge(&meant).map_err(failed)).await?;
        Ok(Response::new(api::PurgeResponse { purged: Some(purged.into()) }))
    }
}
