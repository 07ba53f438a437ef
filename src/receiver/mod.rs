//! The gRPC door: admission, framing, decompression, status codes.
