//! The service itself: each question goes to a thread that may block, its answer comes back as it is made.

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::api;
use super::api::dead_letters_server::{DeadLetters, DeadLettersServer};
use super::convert::{failed, filter};
use super::desk::Desk;
use super::replay::Plan;
use crate::store::RecordId;

/// Parts of an answer that may wait for a slow client.
const WAITING: usize = 4;

/// Answers for a [`Desk`].
#[derive(Debug)]
pub(crate) struct Api(Desk);

impl Api {
    /// The service, to be put behind a socket or asked directly.
    pub(crate) fn server(desk: Desk) -> DeadLettersServer<Self> {
        DeadLettersServer::new(Self(desk))
    }

    /// Asks on a thread that may block.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Desk) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let desk = self.0.clone();
        let asked = spawn_blocking(move || question(&desk)).await;
        asked.unwrap_or_else(|error| Err(Status::internal(format!("this is a bug: {error}"))))
    }

    /// The same for an answer in parts, which `question` gives to the function that it is handed; false from that means
    /// that nobody listens any more.
    fn stream<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Desk, &mut dyn FnMut(T) -> bool) -> Result<(), Status> + Send + 'static,
    ) -> Answer<T> {
        let (parts, answer) = mpsc::channel(WAITING);
        let desk = self.0.clone();
        spawn_blocking(move || {
            let mut tell = |part| parts.blocking_send(Ok(part)).is_ok();
            if let Err(status) = question(&desk, &mut tell) {
                // Fails only when nobody listens.
                let _ = parts.blocking_send(Err(status));
            }
        });
        ReceiverStream::new(answer)
    }
}

type Answer<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl DeadLetters for Api {
    type ListStream = Answer<api::ListResponse>;
    type ReplayStream = Answer<api::ReplayResponse>;

    async fn list(&self, request: Request<api::ListRequest>) -> Result<Response<Self::ListStream>, Status> {
        let filter = filter(request.into_inner().filter)?;
        Ok(Response::new(self.stream(move |desk, tell| {
            let page = |letters: Vec<_>| {
                tell(api::ListResponse { letters: letters.into_iter().map(api::Letter::from).collect() })
            };
            desk.each_page(&filter, page).map_err(failed)
        })))
    }

    async fn show(&self, request: Request<api::ShowRequest>) -> Result<Response<api::ShowResponse>, Status> {
        let id = RecordId(request.into_inner().id);
        let found = self.ask(move |desk| desk.store().letter(id).map_err(failed)).await?;
        let (letter, body) = found.ok_or_else(|| Status::not_found(format!("there is no dead letter {}", id.0)))?;
        Ok(Response::new(api::ShowResponse { letter: Some(letter.into()), body }))
    }

    async fn stats(&self, _request: Request<api::StatsRequest>) -> Result<Response<api::StatsResponse>, Status> {
        let (kept, status) = self.ask(|desk| Ok((desk.store().kept().map_err(failed)?, desk.store().status()))).await?;
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
        let api::ReplayRequest { filter: meant, spans_per_second, dry_run } = request.into_inner();
        let meant = filter(meant)?;
        Ok(Response::new(self.stream(move |desk, tell| {
            let plan = Plan::make(desk, &meant).map_err(failed)?;
            if dry_run {
                tell(plan.progress(Default::default()));
                return Ok(());
            }
            plan.carry_out(desk, spans_per_second, tell).map_err(failed)
        })))
    }

    async fn purge(&self, request: Request<api::PurgeRequest>) -> Result<Response<api::PurgeResponse>, Status> {
        let meant = filter(request.into_inner().filter)?;
        let purged = self.ask(move |desk| desk.purge(&meant).map_err(failed)).await?;
        Ok(Response::new(api::PurgeResponse { purged: Some(purged.into()) }))
    }
}
