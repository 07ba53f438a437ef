//! Who answers: the running process, or the store itself when there is none.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::{Context as _, anyhow, bail};
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

use crate::admin::letters::api::dead_letters_client::DeadLettersClient;
use crate::admin::letters::api::dead_letters_server::DeadLettersServer;
use crate::admin::letters::{self, Api};
use crate::config::{Config, FileStorage, Role};
use crate::store::{Store, StoreSettings};

/// Where dead letters are worked on.
pub(super) struct Desk {
    client: DeadLettersClient<Link>,
    /// The store, when it was opened here.
    store: Option<Store>,
}

impl Desk {
    /// Asks the process that owns the store in `storage`; opens the store when there is none.
    ///
    /// # Errors
    /// There is no store; it cannot be opened; or the process that has it does not answer.
    pub(super) async fn find(config: &Config, storage: &FileStorage) -> anyhow::Result<Self> {
        let directory = &storage.directory;
        if !exists(directory)? {
            bail!("there is no store in {}: has chainspan run with this configuration?", directory.display());
        }
        let socket = letters::path(directory);
        match UnixStream::connect(&socket) {
            Ok(_) => {
                let endpoint = Endpoint::try_from(format!("unix:{}", socket.display()))?;
                let channel = endpoint.connect().await;
                let channel = channel.with_context(|| format!("chainspan does not answer on {}", socket.display()))?;
                Ok(Self { client: client(Link::Process(channel)), store: None })
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                let store = open(storage).with_context(|| {
                    format!("nobody answers on {} (a chainspan that is starting soon does), and", socket.display())
                })?;
                let required = config.destinations.iter().filter(|destination| destination.role == Role::Required);
                let names = required.map(|destination| destination.name.clone()).collect();
                let server = Api::server(letters::Desk::offline(store.clone(), names));
                Ok(Self { client: client(Link::Here(server)), store: Some(store) })
            }
            Err(error) => Err(anyhow!(error))
                .with_context(|| format!("cannot open {}; use the account that chainspan runs as", socket.display())),
        }
    }

    /// Asks.
    pub(super) fn client(&mut self) -> &mut DeadLettersClient<Link> {
        &mut self.client
    }

    /// Whether a process is there to send what is let go.
    pub(super) fn running(&self) -> bool {
        self.store.is_none()
    }

    /// Lets go of the store, if it was opened here.
    pub(super) fn close(self) {
        if let Some(store) = self.store {
            store.close();
        }
    }
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

fn client(link: Link) -> DeadLettersClient<Link> {
    // The other side is ours, and what it holds was once received whole.
    DeadLettersClient::new(link).max_decoding_message_size(usize::MAX)
}

/// The way to the service.
#[derive(Clone)]
pub(super) enum Link {
    /// Through the socket of a process.
    Process(Channel),
    /// It is in this process.
    Here(DeadLettersServer<Api>),
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Service<http::Request<Body>> for Link {
    type Response = http::Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Link::Process(channel) => channel.poll_ready(context).map_err(Into::into),
            Link::Here(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match self {
            Link::Process(channel) => {
                let answer = channel.call(request);
                Box::pin(async move { Ok(answer.await?) })
            }
            Link::Here(server) => {
                let answer = server.call(request);
                Box::pin(async move { Ok(answer.await?) })
            }
        }
    }
}
