//! Talks to the running process, or to the store itself where no process runs.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

use super::text::plain;
use crate::admin::letters::api::dead_letters_client::DeadLettersClient;
use crate::admin::letters::api::dead_letters_server::DeadLettersServer;
use crate::admin::letters::{self, Api, DeadLetterAdmin, api};
use crate::config::{Config, FileStorage, Role};
use crate::store::{Store, StoreSettings};

/// How long one part of an answer may take. Reading through gigabytes of dead letters takes a fraction of it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// A client of the dead letter service, wherever that runs.
pub(super) struct DlqClient {
    client: DeadLettersClient<Transport>,
    /// The store, if it was opened here.
    store: Option<Store>,
}

impl DlqClient {
    /// Connects to the process that owns the store in `storage`, or opens the store if there is none.
    ///
    /// # Errors
    /// There is no store; it cannot be opened; or the process that has it does not answer.
    pub(super) async fn connect(config: &Config, storage: &FileStorage) -> anyhow::Result<Self> {
        let directory = &storage.directory;
        if !exists(directory)? {
            bail!("there is no store in {}: chainspan has not run with this configuration yet", directory.display());
        }
        let socket = letters::path(directory);
        match UnixStream::connect(&socket) {
            Ok(_) => {
                let endpoint = Endpoint::try_from(format!("unix:{}", socket.display()))?;
                let channel = endpoint.connect().await;
                let channel = channel.with_context(|| format!("chainspan does not answer on {}", socket.display()))?;
                Ok(Self { client: client(Transport::Socket(channel)), store: None })
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                let store = open(storage).with_context(|| {
                    format!("nobody answers on {} (a chainspan that is starting will soon), and", socket.display())
                })?;
                let required = config.destinations.iter().filter(|destination| destination.role == Role::Required);
                let names = required.map(|destination| destination.name.clone()).collect();
                let server = Api::server(DeadLetterAdmin::offline(store.clone(), names));
                Ok(Self { client: client(Transport::InProcess(server)), store: Some(store) })
            }
            Err(error) => Err(anyhow!(error))
                .with_context(|| format!("cannot open {}; use the account that chainspan runs as", socket.display())),
        }
    }

    /// The calls of the service; see [`answer`].
    pub(super) fn service(&mut self) -> &mut DeadLettersClient<Transport> {
        &mut self.client
    }

    /// Whether a process is there to send what is queued.
    pub(super) fn is_running(&self) -> bool {
        self.store.is_none()
    }

    /// What a replay of `filter` would do.
    ///
    /// # Errors
    /// No answer, or the store could not be read.
    pub(super) async fn preview(&mut self, filter: api::Filter) -> anyhow::Result<api::ReplayResponse> {
        let request = api::ReplayRequest { filter: Some(filter), dry_run: true, ..Default::default() };
        let mut parts = answer(self.client.replay(request)).await?.into_inner();
        answer(parts.message()).await?.context("an answer without content; this is a bug, please report it")
    }

    /// Closes the store, if it was opened here.
    pub(super) fn close(self) {
        if let Some(store) = self.store {
            store.close();
        }
    }
}

/// The answer to `call`, in time.
///
/// # Errors
/// It took too long, or the service said why it failed.
pub(super) async fn answer<T>(call: impl Future<Output = Result<T, Status>>) -> anyhow::Result<T> {
    let answered = tokio::time::timeout(ANSWER_TIMEOUT, call).await;
    let answered = answered.with_context(|| format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))?;
    answered.map_err(|status| anyhow!("{}", plain(status.message())))
}

fn exists(directory: &Path) -> anyhow::Result<bool> {
    directory
        .try_exists()
        .with_context(|| format!("cannot look at {}; use the account that chainspan runs as", directory.display()))
}

fn open(storage: &FileStorage) -> anyhow::Result<Store> {
    let FileStorage { directory, max_bytes, min_free_bytes } = storage.clone();
    Ok(Store::open(StoreSettings { directory, max_bytes, min_free_bytes })?)
}

fn client(link: Transport) -> DeadLettersClient<Transport> {
    // The other side is ours, and every request it holds was once received whole.
    DeadLettersClient::new(link).max_decoding_message_size(usize::MAX)
}

/// How the service is reached.
#[derive(Clone)]
pub(super) enum Transport {
    /// Through the socket of the running process.
    Socket(Channel),
    /// It runs in this process.
    InProcess(DeadLettersServer<Api>),
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Service<http::Request<Body>> for Transport {
    type Response = http::Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Transport::Socket(channel) => channel.poll_ready(context).map_err(Into::into),
            Transport::InProcess(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match self {
            Transport::Socket(channel) => {
                let answer = channel.call(request);
                Box::pin(async move { Ok(answer.await?) })
            }
            Transport::InProcess(server) => {
                let answer = server.call(request);
                Box::pin(async move { Ok(answer.await?) })
            }
        }
    }
}
