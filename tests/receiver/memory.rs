//! What a client can make the receiver hold: never more than the budget, and nothing once it is gone.

use bytes::Bytes;
use tonic::Code;

use crate::support::*;

/// 64 KiB that inflate to 2 GiB: a zstd frame of 16,000 blocks, each of which says "128 KiB of zeros".
fn zstd_bomb(window: u8) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, window];
    for block in 0..16_000u32 {
        let last = u32::from(block == 15_999);
        let header = last | 1 << 1 | (128 * 1024) << 3;
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

/// Peak resident memory of this process so far, in bytes.
fn peak_resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kib| kib * 1024)
}

/// Scenario: bombs of each encoding, claiming to be small. The budget has just the room for one honest request at its
/// limit (compressed, inflated, and zstd's window). Guarantee: RESOURCE_EXHAUSTED, which means that the limit was met
/// before the budget was; and the process did not grow.
#[tokio::test]
async fn bombs_never_take_more_than_the_limit() {
    let limit = MIB;
    let gzip_bomb = gzip(&vec![0; 24 * MIB]);
    let zstd_bomb = zstd_bomb(13 << 3);
    for (encoding, bomb) in [("gzip", gzip_bomb), ("zstd", zstd_bomb)] {
        let memory = bomb.len() + 2 * limit + 256 * 1024;
        let receiver = Receiver::start(limit, memory).await;
        let client = Client::connect(receiver.address).await;
        for _ in 0..3 {
            let answer = client.grpc(TRACES, encoding, &[framed(1, &bomb)]).await;
            assert_eq!(answer.code(), Code::ResourceExhausted, "{encoding}: {:?}", answer.status());
            assert_eq!(answer.retry_after(), None);
            receiver.at_rest().await;
        }
    }
    if let Some(peak) = peak_resident() {
        assert!(peak < 400 * MIB, "{} MiB resident", peak / MIB);
    }
}

/// A zstd frame that asks for a window of 2 GiB is refused without being given one.
#[tokio::test]
async fn a_huge_zstd_window_is_refused() {
    let receiver = Receiver::start(MIB, 8 * MIB).await;
    let client = Client::connect(receiver.address).await;
    let answer = client.grpc(TRACES, "zstd", &[framed(1, &zstd_bomb(21 << 3))]).await;
    assert_eq!(answer.code(), Code::InvalidArgument, "{:?}", answer.status());
    receiver.at_rest().await;
}

/// Scenario: a gzip trailer and a zstd header claim 4 GiB and 1 EiB. Guarantee: claims are not believed.
#[tokio::test]
async fn a_claimed_size_is_not_believed() {
    let receiver = Receiver::start(MIB, 2 * MIB).await;
    let client = Client::connect(receiver.address).await;
    let mut lying_gzip = gzip(&encoded(3));
    let size = lying_gzip.len();
    lying_gzip[size - 4..].copy_from_slice(&[0xff; 4]);
    // Single segment, 8-byte content size, one raw block of nothing.
    let mut lying_zstd = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
    lying_zstd.extend_from_slice(&(1u64 << 60).to_le_bytes());
    lying_zstd.extend_from_slice(&[1, 0, 0]);
    for (encoding, body) in [("gzip", lying_gzip), ("zstd", lying_zstd)] {
        let answer = client.grpc(TRACES, encoding, &[framed(1, &body)]).await;
        assert_eq!(answer.code(), Code::InvalidArgument, "{encoding}: {:?}", answer.status());
        receiver.at_rest().await;
    }
}

/// Compressed bodies above 1 MiB take the way through the blocking pool, and come out the same.
#[tokio::test]
async fn a_large_compressed_request_is_accepted() {
    let receiver = Receiver::start(16 * MIB, 64 * MIB).await;
    let client = Client::connect(receiver.address).await;
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(2 * MIB).collect();
    // Field 1, length-delimited, would be read as a resource; field 15 is unknown and survives.
    let mut message = vec![15 << 3 | 2];
    prost::encoding::encode_varint(noise.len() as u64, &mut message);
    message.extend_from_slice(&noise);
    for (encoding, body) in [("gzip", gzip(&message)), ("zstd", zstd(&message))] {
        assert!(body.len() > MIB, "the noise was compressed");
        let answer = client.grpc(TRACES, encoding, &[framed(1, &body)]).await;
        assert_eq!(answer.code(), Code::Ok, "{encoding}: {:?}", answer.status());
        receiver.at_rest().await;
    }
}

/// Scenario: 100 clients announce 64 MiB each and send nothing more. Guarantee: nothing is taken from the budget, and
/// others are served; when the clients go away, nothing is left.
#[tokio::test]
async fn announced_but_not_sent_takes_nothing() {
    let receiver = Receiver::start(64 * MIB, 64 * MIB).await;
    let client = Client::connect(receiver.address).await;
    let mut held = Vec::new();
    for _ in 0..100 {
        let headers = [("content-type", "application/grpc")];
        let (response, mut stream) = client.begin(TRACES, &headers, false).await;
        stream.send_data(prefix(64 << 20), false).unwrap();
        held.push((response, stream));
    }
    let other = Client::connect(receiver.address).await;
    for _ in 0..20 {
        assert_eq!(other.grpc(TRACES, "", &[framed(0, &encoded(512))]).await.code(), Code::Ok);
    }
    assert_eq!(receiver.budget.used(), 0);
    drop(held);
    assert_eq!(client.grpc(TRACES, "", &[framed(0, &encoded(1))]).await.code(), Code::Ok);
}

/// Scenario: a client sends half of a message and resets the stream; another one closes its connection. Guarantee: what
/// they held comes back.
#[tokio::test]
async fn a_request_broken_off_gives_everything_back() {
    let receiver = Receiver::start(4 * MIB, 8 * MIB).await;
    for reset in [true, false] {
        let client = Client::connect(receiver.address).await;
        let (response, mut stream) = client.begin(TRACES, &[("content-type", "application/grpc")], false).await;
        stream.send_data(prefix(2 << 20), false).unwrap();
        stream.send_data(Bytes::from(vec![7; MIB / 2]), false).unwrap();
        let budget = receiver.budget.clone();
        until(move || budget.used() >= MIB / 2).await;
        if reset {
            stream.send_reset(h2::Reason::CANCEL);
        }
        drop((response, stream, client));
        receiver.at_rest().await;
    }
}

/// Scenario: many clients fill the budget. Guarantee: it is never exceeded; those it has no room for are told so.
#[tokio::test]
async fn many_large_requests_at_once_stay_within_the_budget() {
    let receiver = Receiver::start(MIB, 3 * MIB).await;
    let mut senders = Vec::new();
    for _ in 0..12 {
        let client = Client::connect(receiver.address).await;
        senders.push(tokio::spawn(async move {
            let (response, mut stream) = client.begin(TRACES, &[("content-type", "application/grpc")], false).await;
            let message = vec![15 << 3 | 2, 0x80, 0x80, 0x20];
            let mut bytes = framed(0, &[message, vec![0; MIB / 2]].concat()).to_vec();
            let last = Bytes::from(bytes.split_off(bytes.len() - 1));
            stream.send_data(bytes.into(), false).unwrap();
            (client, response, stream, last)
        }));
    }
    let budget = receiver.budget.clone();
    until(move || budget.used() > 2 * MIB).await;
    let (mut accepted, mut refused) = (0, 0);
    for sender in senders {
        let (_client, response, mut stream, last) = sender.await.unwrap();
        assert!(receiver.budget.used() <= receiver.budget.limit());
        let _ = stream.send_data(last, true);
        match answer(response).await.code() {
            Code::Ok => accepted += 1,
            Code::Unavailable => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(accepted > 0 && refused > 0 && accepted + refused == 12, "{accepted} accepted, {refused} refused");
    receiver.at_rest().await;
}
