//! A body on its way through, of which one piece at a time is in our memory.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use futures_util::task::AtomicWaker;
use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

/// The body of an answer: a page of ours, or what the world sends.
pub(crate) type AnswerBody = Either<Full<Bytes>, OneAtATime>;

/// Asks for a piece only when the one before has been written to its socket. hyper alone would gather sixteen of them
/// while the reader rests, and each may hold the whole block that it was read into.
pub(crate) struct OneAtATime {
    body: Incoming,
    under_way: Arc<UnderWay>,
}

#[derive(Default)]
struct UnderWay {
    is: AtomicBool,
    waker: AtomicWaker,
}

/// A piece of the body, which says when hyper has let go of it.
struct Piece {
    bytes: Bytes,
    under_way: Arc<UnderWay>,
}

impl OneAtATime {
    pub(crate) fn new(body: Incoming) -> Self {
        Self {
            body,
            under_way: Arc::default(),
        }
    }
}

impl Body for OneAtATime {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.under_way.waker.register(cx.waker());
        if self.under_way.is.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(frame.map(|frame| {
            frame.map_data(|bytes| {
                self.under_way.is.store(true, Ordering::Release);
                Bytes::from_owner(Piece {
                    bytes,
                    under_way: Arc::clone(&self.under_way),
                })
            })
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.under_way.is.store(false, Ordering::Release);
        self.under_way.waker.wake();
    }
}
