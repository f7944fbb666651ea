//! SKELETON
use super::head::RequestHead;
use crate::net::Listener;
use std::marker::PhantomData;

/// What a handler answers.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    /// Further header lines, each ended by CRLF.
    pub headers: String,
    pub body: Vec<u8>,
}

/// A request whose body may still be arriving.
pub struct Incoming<'c> {
    head: RequestHead,
    _connection: PhantomData<&'c ()>,
}

impl Incoming<'_> {
    pub fn head(&self) -> &RequestHead {
        &self.head
    }

    /// Appends the body to `body`; the error is the answer to give (400, 408, 413).
    pub async fn read_body(&mut self, body: &mut Vec<u8>, bytes_max: usize) -> Result<(), Answer> {
        let _ = (body, bytes_max);
        Err(Answer::default())
    }
}

/// Serves for ever.
pub async fn serve<H>(listener: Listener, handler: H)
where
    H: AsyncFn(&mut Incoming<'_>) -> Answer + 'static,
{
    let _ = (listener, handler);
    std::future::pending().await
}
