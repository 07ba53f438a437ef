//! What happens on the way out.

use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::*;

/// Scenario: the drain begins while one request has sent half of its body and a client watches health. Guarantee: the
/// request is finished and answered OK, a new one is told to go elsewhere, the watcher hears NOT_SERVING and does not hold
/// up the end, no new connection is accepted, and the receiver ends by itself.
#[tokio::test]
async fn a_drain_finishes_what_is_in_hand_and_refuses_the_rest() {
    let mut receiver = Receiver::start(MIB, 8 * MIB).await;
    let client = Client::connect(receiver.address).await;
    let bytes = framed(0, &encoded(100));
    let (response, mut stream) = client.begin(TRACES, &[("content-type", "application/grpc")], false).await;
    stream.send_data(bytes.slice(..50), false).unwrap();
    let budget = receiver.budget.clone();
    until(move || budget.used() > 0).await;

    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", receiver.address)).unwrap();
    let mut health = HealthClient::new(channel.connect().await.unwrap());
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);

    receiver.begin_drain();
    assert_eq!(within(watch.message()).await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert_eq!(within(watch.message()).await.unwrap(), None, "the watch must end");
    let address = receiver.address;
    within(async { while tokio::net::TcpStream::connect(address).await.is_ok() {} }).await;

    stream.send_data(bytes.slice(50..), true).unwrap();
    assert_eq!(answer(response).await.code(), Code::Ok, "a request in hand is finished");
    drop(client);
    receiver.drained().await;
}
